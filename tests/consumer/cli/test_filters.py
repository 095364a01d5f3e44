"""All commands that read events have the same filters."""

from pathlib import Path

import pytest

from codec.amqp import Field, encode_header
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox, ids
from tests.support.dead_letters import dead_once


@pytest.mark.parametrize("command", ["cat", "search", "tail", "export"])
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--arrived-since", "2026-01-01"], [3, 4]),
        (["--arrived-until", "2025-12-31"], [1, 2]),
        (["--since", "2025-11-21T16:15:00.000002Z", "--until", "2025-11-21T16:15:00.000003Z"], [2, 3]),
        (["--type", "type.1", "--id", "id-1", "--id", "id-2", "--match", "x{20}"], [1]),
        (["--where", "serial>=2", "--exchange", "ex*", "--routing-key", "key", "--type", "!type.0"], [2, 4]),
        (["--tag", "a"], [4]),
        (["--routing-key", "user.#"], [3]),
        (["--header", "retries>=3"], [4]),
        (["--where", "properties.app_id=nova"], [4]),
        (["--dead-lettered-from", "orders"], [1, 2]),
        (["--dead-lettered-from", "*"], [1, 2, 3]),
        (["--death-reason", "expired"], [2, 3]),
        (["--dead-lettered-from", "ord*", "--death-reason", "expired"], [2]),
    ],
)
def test_every_command_that_reads_events_has_the_same_filters(
    tmp_path: Path, command: str, filters: list[str], found: list[int]
) -> None:
    one = archive_log(tmp_path / "archive")
    rejected, expired = dead_once("orders", "rejected"), dead_once("orders", "expired")
    one.append([event._replace(header=header) for event, header in zip(some(1, 2), (rejected, expired), strict=True)])
    late = [event._replace(arrived_us=event.arrived_us + 86_400_000_000 * 60) for event in some(3, 2)]
    header = encode_header({"headers": (("retries", Field("I", 3)),), "app_id": "nova"})
    one.append(
        [
            late[0]._replace(routing_key="user.eu.created", header=dead_once("bills", "expired")),
            late[1]._replace(tags=("a",), header=header),
        ]
    )
    extra = ["--format", "jsonl", "--out", tmp_path / "out"] if command == "export" else []
    done = deedbox(command, tmp_path / "archive", *extra, *filters)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    out = (tmp_path / "out" / "events.jsonl").read_text() if command == "export" else done.stdout
    assert ids(out) == [f"id-{serial}" for serial in found]


def test_stats_and_sql_have_them_too(tmp_path: Path) -> None:
    dead = [event._replace(header=dead_once("orders", "rejected")) for event in some(1, 2)]
    archive_log(tmp_path / "archive").append([*dead, *some(3, 1)])
    filters = ("--dead-lettered-from", "orders", "--death-reason", "rejected")
    stats = deedbox("stats", tmp_path / "archive", *filters, "--by", "x-death.queue")
    assert stats.stdout.splitlines()[1].split() == ["orders", "2"]
    sql = deedbox("sql", "select id from events order by id", tmp_path / "archive", *filters, "--format", "csv")
    assert sql.stdout.split() == ["id", "id-1", "id-2"]
    none = deedbox("search", tmp_path / "archive", "--death-reason", "boredom")
    assert none.returncode == Exit.SETTINGS
    assert 'Choose from: "rejected", "expired", "maxlen", "delivery_limit"' in none.stderr
