"""Which events are selected, and in which order."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from consumer.archive.ledger import read
from consumer.archive.naming import lock_path
from consumer.disk.durable import Disk, held
from consumer.query.query import Query, make_query
from consumer.replay.marker import Marker
from consumer.replay.ranges import Ranges
from consumer.replay.receipts import ArchiveHead
from consumer.replay.selection import CHUNK_EVENTS, Selected, Selection
from consumer.replay.target import Overrides
from tests.support.archive_logs import archive_log, event, some

ROUTE = Overrides().route()


def all_of(selection: Selection) -> Iterator[Selected]:
    while chunk := selection.take():
        assert len(chunk) <= CHUNK_EVENTS
        yield from chunk


def selected(
    directory: Path, query: Query | None = None, receipts: Mapping[ArchiveHead, Ranges] | None = None
) -> list[Selected]:
    return list(all_of(Selection([directory], query or Query(), ROUTE, None, receipts)))


def test_events_come_in_the_order_of_their_times_across_instances(tmp_path: Path) -> None:
    for instance in ("one", "two"):
        log = archive_log(tmp_path, instance=instance)
        log.append([event(serial) for serial in range(instance == "two", 2000, 2)])
        log.roll("test")
    found = selected(tmp_path)
    assert [one.time_us for one in found] == sorted(event(serial).time_us for serial in range(2000))
    assert [one.position for one in found[:3]] == ["one-00000001:0", "two-00000001:0", "one-00000001:1"]
    assert found[5].message == ROUTE(event(5))


def test_filters_choose_and_duplicates_are_hidden(doubled: Path) -> None:
    assert [one.number for one in selected(doubled)] == [0, 1, 2]
    assert [one.number for one in selected(doubled, make_query(types=["type.1"]))] == [1]


def test_an_event_with_a_receipt_is_left_out_and_a_batch_of_them_is_not_read(tmp_path: Path) -> None:
    log = archive_log(tmp_path)
    for first in (0, 10, 20):
        log.append(some(first, 10))
    (archive,) = {one.archive for one in selected(tmp_path)}
    selection = Selection([tmp_path], Query(), ROUTE, None, {archive: Ranges([(0, 9), (12, 14), (29, 29)])})
    assert [one.number for one in all_of(selection)] == [10, 11, *range(15, 29)]
    assert (selection.left_out, selection.left_out_at_most) == (14, False)
    assert selection.search.batches_read == 2


def test_the_events_of_a_batch_that_is_not_read_may_not_be_selected_by_the_query(tmp_path: Path) -> None:
    log = archive_log(tmp_path)
    log.append(some(0, 10))
    (archive,) = {one.archive for one in selected(tmp_path)}
    for last, at_most in ((9, True), (8, False)):
        selection = Selection([tmp_path], make_query(ids=["id-3"]), ROUTE, None, {archive: Ranges([(0, last)])})
        assert list(all_of(selection)) == []
        assert (selection.left_out, selection.left_out_at_most) == (10 if at_most else 1, at_most)


def test_receipts_of_another_archive_of_the_same_name_do_not_apply(tmp_path: Path) -> None:
    for place in ("first", "second"):
        archive_log(tmp_path / place).append(some(0, 3))
    (archive,) = {one.archive for one in selected(tmp_path / "first")}
    assert selected(tmp_path / "first", receipts={archive: Ranges([(0, 2)])}) == []
    assert len(selected(tmp_path / "second", receipts={archive: Ranges([(0, 2)])})) == 3


def test_a_marked_message_names_its_position(tmp_path: Path) -> None:
    archive_log(tmp_path).append(some(0, 2))
    chunk = Selection([tmp_path], Query(), ROUTE, Marker("run-1")).take()
    plain = ROUTE(event(1))
    assert not isinstance(plain, tuple) or chunk[1].message == Marker("run-1").mark(plain, "one-00000001:1")  # type: ignore[arg-type]  # a message


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    one = archive_log(tmp_path / "doubled")
    one.append(some(0, 3))
    one.append([found._replace(duplicate=f"one-00000001:{n}") for n, found in enumerate(some(1, 2), 1)])
    return tmp_path / "doubled"


def test_an_event_whose_sync_has_not_returned_is_not_selected(tmp_path: Path) -> None:
    log = archive_log(tmp_path)
    log.append(some(0, 3))
    mark = (tmp_path / "one.committed").read_bytes()
    log.append(some(3, 3))
    (tmp_path / "one.committed").write_bytes(mark)  # as between the write and the end of the sync
    with held(Disk(), lock_path(tmp_path, "one")):  # the writer runs
        assert [one.number for one in selected(tmp_path)] == [0, 1, 2]
    assert log.writer is not None
    log.writer.abandon()
    assert len(selected(tmp_path)) == 6  # the writer has ended: the archive is synced here


def test_an_archive_that_was_given_up_counts_as_its_ledger_says(tmp_path: Path) -> None:
    """Its instance runs, and its watermark names the next archive."""
    log = archive_log(tmp_path)
    log.append(some(0, 3))
    assert log.writer is not None
    log.writer.abandon()
    again = archive_log(tmp_path)
    again.append(some(3, 3))
    ledger = tmp_path / "one.ledger"
    state = read(ledger)
    assert state is not None
    with held(Disk(), lock_path(tmp_path, "one")):
        assert {one.archive.name for one in selected(tmp_path)} == {"one-00000002"}
        ledger.write_bytes(msgspec.json.encode(replace(state, abandoned=((1, 2),))))
        first = [one.number for one in selected(tmp_path) if one.archive.name == "one-00000001"]
    assert first == []  # the batch has three events: not all of them are known to be durable
    with held(Disk(), lock_path(tmp_path, "one")):
        ledger.write_bytes(msgspec.json.encode(replace(state, abandoned=((1, 3),))))
        assert len(selected(tmp_path)) == 6
