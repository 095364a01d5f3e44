"""`replay` as a user runs it, against a real broker."""

from pathlib import Path

import pytest

from codec.amqp import Field, decode_header
from consumer.errors import Exit
from consumer.replay.receipts import read_receipts
from tests.support.archive_logs import archive_log, event, some
from tests.support.command_line import deedbox
from tests.support.messages import messages
from tests.support.replaying import bound_queue, drained
from tests.support.wire import WirePublisher


def test_events_are_published_byte_for_byte_in_the_order_of_their_times(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    bound_queue(publisher, name)
    for instance in ("one", "two"):
        log = archive_log(tmp_path / "archive", instance=instance)
        log.append([event(serial) for serial in range(instance == "two", 40, 2)])
    done = deedbox("replay", tmp_path / "archive", "--url", url, "--exchange", name, "--no-marker")
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert done.stdout.startswith("published: 40 events, 1710 bytes, in ")
    found = drained(url, name, tmp_path / "copy")
    assert [(one.exchange, one.routing_key, one.header, one.body) for one in found] == [
        (name, "key", event(serial).header, event(serial).body) for serial in range(40)
    ]


def test_every_kind_of_message_comes_back_as_it_was(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    """Archived from the broker, replayed to the queue, and archived again."""
    bound_queue(publisher, name, "topic")
    for one in messages(400, seed=5, size_max=1 << 18):
        publisher.publish(name.encode(), one.key, one.header, one.body)
    publisher.wait_for_confirms()
    first = drained(url, name, tmp_path / "first")
    assert len(first) == 400
    assert deedbox("replay", tmp_path / "first", "--url", url, "--no-marker").returncode == Exit.OK
    # Event times differ from the order of arrival here: compare as sets.
    again = drained(url, name, tmp_path / "again")
    assert sorted(one[4:8] for one in again) == sorted(one[4:8] for one in first)
    assert deedbox("replay", tmp_path / "first", "--url", url).returncode == Exit.OK
    marked = drained(url, name, tmp_path / "marked")
    positions = set()
    for one in marked:
        *_others, (marker, field) = decode_header(one.header)["headers"]  # type: ignore[misc, attr-defined]  # a table
        assert marker == "x-deedbox-replay"
        positions.add(dict(field.value)["position"].value)
    assert len(positions) == 400


def test_the_target_can_be_another_exchange_key_header_or_queue(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    bound_queue(publisher, name)
    archive_log(tmp_path / "archive").append(some(0, 2))
    common = (tmp_path / "archive", "--url", url, "--no-marker")
    assert deedbox("replay", *common, "--exchange", name, "--routing-key", "k", "--header", "a=1", "--header", "b=x").returncode == 0  # fmt: skip
    assert deedbox("replay", *common, "--to-queue", name, "--id", "id-1").returncode == 0
    found = drained(url, name, tmp_path / "copy")
    assert [(one.exchange, one.routing_key) for one in found] == [(name, "k"), (name, "k"), ("", name)]
    assert decode_header(found[0].header) == {"headers": (("a", Field("l", 1)), ("b", Field("S", b"x")))}
    assert found[2].header == b"\0\0"


def test_unroutable_events_are_listed_and_the_others_are_published(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    bound_queue(publisher, name, "direct")
    publisher.bind(name, name, b"good")
    log = archive_log(tmp_path / "archive")
    log.append([event(serial)._replace(routing_key="bad" if serial in (3, 7) else "good") for serial in range(10)])
    done = deedbox("replay", tmp_path / "archive", "--url", url, "--exchange", name, "--checkpoint", "again")
    assert done.returncode == Exit.DAMAGED
    assert done.stdout.startswith("published: 8 events")
    lines = done.stderr.splitlines()
    assert [line.split(": exchange")[0] for line in lines[:2]] == [
        "deedbox: unroutable: one-00000001:3", "deedbox: unroutable: one-00000001:7"
    ]  # fmt: skip
    assert "routing key 'bad'" in lines[0]
    assert lines[2] == "deedbox: not published: 2 events: 2 unroutable"
    publisher.bind(name, name, b"bad")
    done = deedbox("replay", tmp_path / "archive", "--url", url, "--exchange", name, "--checkpoint", "again")
    assert done.returncode == Exit.OK
    assert done.stdout.splitlines()[0].startswith("published: 2 events")
    assert sorted(one.body for one in drained(url, name, tmp_path / "copy")) == sorted(one.body for one in some(0, 10))


def test_a_target_that_does_not_exist_ends_it_at_once(url: str, name: str, directory: Path) -> None:
    done = deedbox("replay", directory, "--url", url, "--exchange", name)
    assert done.returncode == Exit.MISSING
    assert f"no exchange '{name}'" in done.stderr
    done = deedbox("replay", directory, "--url", url, "--to-queue", name)
    assert done.returncode == Exit.MISSING
    assert f"no queue '{name}'" in done.stderr


def test_a_second_run_of_a_finished_checkpoint_publishes_nothing_and_a_late_archive_is_published(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    bound_queue(publisher, name)
    archive_log(tmp_path / "archive").append(some(100, 50))
    command = ("replay", tmp_path / "archive", "--url", url, "--exchange", name, "--checkpoint", "again")
    assert deedbox(*command).stdout.startswith("published: 50 events")
    again = deedbox(*command)
    assert (again.returncode, again.stderr) == (Exit.OK, "")
    first, second = again.stdout.splitlines()
    assert first.startswith("published: 0 events")
    assert second == "left out: 50 events, because they have a receipt of an earlier run"
    archive_log(tmp_path / "archive", instance="late").append(some(0, 20))  # older event times
    assert deedbox(*command).stdout.startswith("published: 20 events")
    assert deedbox("replay", *command[1:-1], "another").stdout.startswith("published: 70 events")
    assert publisher.messages(name)[0] == 140


@pytest.mark.parametrize("rewritten", [("compact",), ("compact", "--repack")])
def test_receipts_hold_after_archives_are_written_again(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path, rewritten: tuple[str, ...]
) -> None:
    bound_queue(publisher, name)
    log = archive_log(tmp_path / "archive")
    for first in range(0, 60, 3):
        log.append(some(first, 3))
    log.roll("test")
    command = ("replay", tmp_path / "archive", "--url", url, "--exchange", name, "--checkpoint", "again")
    assert deedbox(*command, "--until", "2025-11-21T16:15:00.000029Z").stdout.startswith("published: 30 events")
    assert deedbox("delete", "one-00000001:40", tmp_path / "archive").returncode == 0
    assert deedbox(rewritten[0], tmp_path / "archive", *rewritten[1:]).returncode == 0
    assert deedbox(*command).stdout.startswith("published: 29 events")
    assert publisher.messages(name)[0] == 59


def test_receipts_do_not_hold_for_another_archive_of_the_same_name(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    bound_queue(publisher, name)
    command = ("replay", tmp_path / "archive", "--url", url, "--exchange", name, "--checkpoint", "again")
    archive_log(tmp_path / "archive").append(some(0, 5))
    assert deedbox(*command).stdout.startswith("published: 5 events")
    for path in (tmp_path / "archive").glob("one*"):
        path.unlink()
    archive_log(tmp_path / "archive").append(some(0, 5))
    assert len(read_receipts(tmp_path / "archive", "again")) == 1
    assert deedbox(*command).stdout.startswith("published: 5 events")
    assert len(read_receipts(tmp_path / "archive", "again")) == 2


def test_events_that_are_hidden_as_duplicates_are_counted(
    url: str, name: str, publisher: WirePublisher, doubled: Path
) -> None:
    bound_queue(publisher, name)
    done = deedbox("replay", doubled, "--url", url, "--exchange", name)
    assert done.stdout.startswith("published: 3 events")
    assert "2 events hidden" in done.stderr
    assert deedbox("replay", doubled, "--url", url, "--exchange", name, "--duplicates", "only").stdout.startswith(
        "published: 2 events"
    )
