"""`stats` as a user runs it, also on a cluster."""

from pathlib import Path

import orjson
import pytest

from codec.amqp import encode_header
from codec.jsonl import field_of
from consumer.archive.listing import find_archives
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, event
from tests.support.clusters import Cluster
from tests.support.command_line import deedbox
from tests.support.dead_letters import dead, dead_once, entry, first_death


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Dead letters of three queues, and an event that was never dead-lettered."""
    one = archive_log(tmp_path / "letters")
    for serial, queue in enumerate(["orders", "orders", "bills\x1b[31m"]):
        deaths = field_of([{"queue": queue, "reason": "rejected"}, {"queue": "first", "reason": "expired"}])
        one.append(
            [event(serial)._replace(header=encode_header({"headers": (("x-death", deaths),)}), tags=("dead", "seen"))]
        )
        one.roll("test")
    one.append([event(3)._replace(type="", time_us=event(3).time_us + 3_600_000_000)])
    return tmp_path / "letters"


def test_a_table_of_groups_with_the_largest_first(letters: Path) -> None:
    done = deedbox("stats", letters, "--by", "headers.x-death.0.queue,headers.x-death.0.reason,type", "--bytes")
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert done.stdout.splitlines() == [
        "headers.x-death.0.queue  headers.x-death.0.reason  type    events  bytes",
        '-                        -                         ""           1     42',
        r"bills\x1b[31m            rejected                  type.2       1     42",
        "orders                   rejected                  type.0       1     42",
        "orders                   rejected                  type.1       1     42",
        "4 events, 168 bytes in 4 groups, 4 archives",
    ]
    assert deedbox("stats", letters).stdout == "4 events, 4 archives\n"


def test_dead_letters_are_grouped_by_their_first_death(letters: Path) -> None:
    """The table `x-death` begins with the last death."""
    one = archive_log(letters, instance="two")
    twice = dead(
        entry("retry", "expired", "dlx", ("r",), 3), entry(keys=("order.new", "cc"), count=2), others=first_death()
    )
    one.append([event(0)._replace(header=twice), event(0)._replace(header=dead_once())])
    by = "x-death.queue,x-death.reason,x-death.count,x-death.exchange,x-death.routing-key,x-last-death.queue,type"
    done = deedbox(
        "stats", letters, "--by", by, "--format", "jsonl", "--dead-lettered-from", "orders", "--exchange", "exchange"
    )
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert [list(orjson.loads(line).values()) for line in done.stdout.splitlines()] == [
        ["orders", "rejected", "1", "shop", "order.new", "orders", "type.0", 1],
        ["orders", "rejected", "2", "shop", "order.new", "retry", "type.0", 1],
    ]
    rows = deedbox("stats", letters, "--by", "x-death.queue,x-last-death.reason,x-last-death.count").stdout.splitlines()
    assert [row.split() for row in rows] == [
        ["x-death.queue", "x-last-death.reason", "x-last-death.count", "events"],
        ["first", "rejected", "-", "3"],
        ["-", "-", "-", "1"],
        ["orders", "expired", "3", "1"],
        ["orders", "rejected", "1", "1"],
        ["6", "events", "in", "4", "groups,", "5", "archives"],
    ]


def test_a_field_that_no_death_has_is_an_error(letters: Path) -> None:
    done = deedbox("stats", letters, "--by", "x-death.queues")
    assert done.returncode == Exit.SETTINGS
    assert "events cannot be grouped by 'x-death.queues'" in done.stderr
    assert "x-death.routing-key, x-last-death.queue" in done.stderr
    assert "body.x-death.queues for a field of the body" in done.stderr


def test_json_lines_over_time(letters: Path) -> None:
    done = deedbox(
        "stats", letters, "--by", "tag,headers.x-death.0.reason", "--bucket", "1h", "--format", "jsonl", "--bytes"
    )
    first, second = "2025-11-21T16:00:00.000000Z", "2025-11-21T17:00:00.000000Z"
    assert [orjson.loads(line) for line in done.stdout.splitlines()] == [
        {"bucket": first, "tag": "dead", "headers.x-death.0.reason": "rejected", "events": 3, "bytes": 126},
        {"bucket": first, "tag": "seen", "headers.x-death.0.reason": "rejected", "events": 3, "bytes": 126},
        {"bucket": second, "tag": None, "headers.x-death.0.reason": None, "events": 1, "bytes": 42},
    ]


def test_duplicates_are_hidden_and_reported(doubled: Path) -> None:
    done = deedbox("stats", doubled)
    assert done.stdout == "3 events, 1 archive\n"
    assert "2 events hidden, which are marked as duplicates" in done.stderr
    assert deedbox("stats", doubled, "--duplicates", "show").stdout == "5 events, 1 archive\n"
    assert deedbox("stats", doubled, "--duplicates", "only").stdout == "2 events, 1 archive\n"


def test_a_damaged_archive_is_reported_and_the_others_are_counted(directory: Path) -> None:
    first = find_archives([directory])[0]
    first.chmod(0o600)
    first.write_bytes(first.read_bytes()[:700])
    done = deedbox("stats", directory)
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, "50 events, 2 archives\n")
    assert done.stderr.count("\n") == 1
    assert f"{first}: at " in done.stderr
    assert done.stderr == deedbox("search", directory, "--count").stderr


def test_no_archive_is_reported(tmp_path: Path) -> None:
    done = deedbox("stats", tmp_path)
    assert (done.returncode, done.stdout) == (Exit.OK, "0 events, 0 archives\n")
    assert "no archive is there" in done.stderr
    for format in ("table", "jsonl"):
        missing = deedbox("stats", tmp_path / "missing", "--format", format)
        assert (missing.returncode, missing.stdout) == (Exit.DAMAGED, "")  # no count: nothing was read
        assert missing.stderr == f"deedbox: {tmp_path}/missing: No such file or directory\n"


def test_too_many_groups_are_one_error_line(tmp_path: Path) -> None:
    """Also if a worker process finds it: an error that cannot be pickled breaks the pool."""
    one = archive_log(tmp_path)
    for first in range(0, 100_001, 20_000):
        one.append([event(serial, size=0) for serial in range(first, min(first + 20_000, 100_001))])
    done = deedbox("stats", tmp_path, "--by", "id", "--workers", "1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (Exit.SETTINGS, "", 1)
    assert "more than 100,000 groups" in done.stderr


@pytest.mark.parametrize("options", [[], ["--by", "type,serial", "--bucket", "1h", "--bytes"]])
def test_processes_and_a_cluster_give_the_same_bytes(
    directory: Path, dask: Cluster, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a damaged archive, and a relative path, which a worker would look for in its own directory."""
    first = find_archives([directory])[0]
    first.chmod(0o600)
    first.write_bytes(first.read_bytes()[:-700])
    answers = [
        deedbox("stats", directory, *options, *more)
        for more in (["--workers", 0], ["--workers", 2], ["--cluster", dask.address])
    ]
    assert answers[0].returncode == Exit.DAMAGED
    assert len({(done.returncode, done.stdout, done.stderr) for done in answers}) == 1
    monkeypatch.chdir(directory.parent)
    assert deedbox("stats", directory.name, *options, "--cluster", dask.address).stdout == answers[0].stdout


def test_a_scheduler_that_is_not_there_is_one_error_line(directory: Path) -> None:
    done = deedbox("stats", directory, "--cluster", "tcp://127.0.0.1:1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (Exit.CLUSTER, "", 1)
    assert "no scheduler answers at tcp://127.0.0.1:1" in done.stderr
