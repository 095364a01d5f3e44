"""Counting archives: the events of a search, its faults, and the footers that answer alone."""

from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from codec.event import Event
from consumer.archive.listing import find_archives
from consumer.archive.reading.duplicates import DuplicateMode
from consumer.archive.reading.reader import ArchiveReader, open_archive
from consumer.archive.reading.tombstones import add_tombstones
from consumer.disk.durable import Disk
from consumer.query import counting as module
from consumer.query.counting import Counting, Part
from consumer.query.counts import Counts, Row
from consumer.query.grouping import Grouping, parse_grouping
from consumer.query.query import Query, make_query
from consumer.query.search import Search
from tests.support.archive_logs import archive_log, event, some
from tests.support.archive_sets import ArchiveSet
from tests.support.processes import processes

SHOW = DuplicateMode.SHOW


def counted(paths: list[Path], grouping: Grouping, query: Query | None = None, bytes: bool = True) -> Part:
    total = Part()
    for part in Counting(paths, query or Query(), grouping, bytes):
        total.merge(part)
    return total


def expected(grouping: Grouping, events: list[Event]) -> list[Row]:
    counts = Counts()
    for one in events:
        counts.add(grouping, one)
    return list(counts.rows())


def visible(rows: Iterable[Row], bytes: bool) -> list[Row]:
    """The rows as they are printed: without --bytes, the bytes are not counted everywhere."""
    return [row if bytes else row._replace(bytes=0) for row in rows]


@pytest.mark.parametrize("seed", range(12))
def test_the_counts_are_those_of_the_events_that_a_search_finds(tmp_path: Path, seed: int) -> None:
    """Sealed, open, crashed, deleted, compacted and repacked archives of several instances."""
    archives = ArchiveSet(tmp_path, Random(seed))
    archives.grow()
    for by, bucket in ((None, None), ("type", None), ("tag,type", "1w"), ("deep.n,id", None)):
        for mode in DuplicateMode:
            for query in (
                Query(),
                make_query(types=["a.*", "!a.c"], until_us=archives.held[0].event.time_us if archives.held else 0),
            ):
                grouping, shown = parse_grouping(by, bucket), query.showing(mode)
                search = Search([tmp_path], shown)
                found = [one.event for one in search]
                for bytes in (True, False):
                    total = counted([tmp_path], grouping, shown, bytes)
                    assert visible(total.counts.rows(), bytes) == visible(expected(grouping, found), bytes)
                    assert total.counts.events == len(found)
                    assert total.hidden == search.duplicates.hidden
                    assert sorted(map(str, total.faults)) == sorted(map(str, search.faults))
    archives.close()


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    one = archive_log(tmp_path / "archive")
    for first in (0, 50):
        one.append(some(first, 50))
        one.roll("test")
    return tmp_path / "archive"


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The batches whose frames are read."""
    read: list[object] = []
    real = ArchiveReader.with_frame
    monkeypatch.setattr(ArchiveReader, "with_frame", lambda self, batch: read.append(batch) or real(self, batch))
    return read


BY_TYPE = parse_grouping("type", None)


@pytest.mark.parametrize("by", [None, "type"])
def test_footers_alone_answer_for_the_types(sealed: Path, frames: list[object], by: str | None) -> None:
    total = counted([sealed], parse_grouping(by, None), Query(duplicates=SHOW), bytes=False)
    assert frames == []
    assert (total.counts.events, total.archives) == (100, 2)
    read = counted([sealed], parse_grouping(by, None), Query(duplicates=SHOW))
    assert frames != []
    assert [row._replace(bytes=0) for row in read.counts.rows()] == list(total.counts.rows())


@pytest.mark.parametrize(
    ("grouping", "query", "bytes"),
    [
        (BY_TYPE, Query(), False),  # duplicates are hidden, and a footer does not count them
        (BY_TYPE, Query(duplicates=SHOW), True),
        (BY_TYPE, make_query(types=["*"]).showing(SHOW), False),
        (parse_grouping("type", "1h"), Query(duplicates=SHOW), False),
        (parse_grouping("type,exchange", None), Query(duplicates=SHOW), False),
    ],
)
def test_everything_else_reads_the_events(
    sealed: Path, frames: list[object], grouping: Grouping, query: Query, bytes: bool
) -> None:
    assert counted([sealed], grouping, query, bytes).counts.events == 100
    assert len(frames) >= 2


def test_a_footer_does_not_answer_if_an_event_is_deleted(sealed: Path, frames: list[object]) -> None:
    with open_archive(find_archives([sealed])[0]) as archive:
        add_tombstones(Disk(), archive, [3], "id-3", "2026-11-21T16:15:00.000000Z")
    assert counted([sealed], BY_TYPE, Query(duplicates=SHOW), bytes=False).counts.events == 99
    assert frames != []


def test_a_footer_does_not_answer_if_its_names_are_not_all_there(tmp_path: Path, frames: list[object]) -> None:
    one = archive_log(tmp_path)
    one.append([event(number)._replace(type=f"type-{number}") for number in range(1001)])
    one.roll("test")
    total = counted([tmp_path], BY_TYPE, Query(duplicates=SHOW), bytes=False)
    assert len(total.counts.groups) == 1001
    assert frames != []


def test_a_footer_does_not_answer_if_its_checksum_is_wrong(sealed: Path, frames: list[object]) -> None:
    """Two wrong digits of its totals: neither the rows of the batches nor the sum show them."""
    first = find_archives([sealed])[0]
    first.chmod(0o600)
    raw = first.read_bytes()
    for right, wrong in ((b'"type.0":17', b'"type.0":16'), (b'"type.2":16', b'"type.2":17')):
        assert raw.count(right) == 1
        raw = raw.replace(right, wrong)
    first.write_bytes(raw)
    total = counted([sealed], BY_TYPE, Query(duplicates=SHOW), bytes=False)
    assert {row.values: row.events for row in total.counts.rows()} == {
        ("type.0",): 34,
        ("type.1",): 33,
        ("type.2",): 33,
    }
    assert frames != []


def test_a_damaged_batch_is_a_fault_and_the_others_are_counted(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for first in (0, 10, 20):
        one.append(some(first, 10))
    (path,) = find_archives([tmp_path])
    raw = bytearray(path.read_bytes())
    with open_archive(path) as archive:
        second = list(archive.parts(frames=False))[1]
    raw[second.offset + second.size - 3] ^= 1
    path.write_bytes(raw)
    total = counted([tmp_path], BY_TYPE)
    search = Search([tmp_path])
    assert len(list(search)) == total.counts.events == 20
    assert [str(fault) for fault in total.faults] == [str(fault) for fault in search.faults]
    assert "batch 1" in str(total.faults[0])


def test_an_archive_that_is_sealed_between_listing_and_counting_is_found(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 10))
    counting = Counting([tmp_path], Query(), BY_TYPE)
    one.roll("test")
    (part,) = counting
    assert (part.counts.events, part.faults) == (10, [])


def test_an_archive_that_moves_all_the_time_is_one_fault(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path) -> object:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(module, "open_at", gone)
    total = counted([find_archives([sealed])[0]], BY_TYPE)
    assert len(total.faults) == 1
    assert "moved or replaced 4 times while it was read: [Errno 2]" in str(total.faults[0])


def test_a_removed_archive_is_a_fault(sealed: Path) -> None:
    counting = Counting([sealed], Query(), BY_TYPE)
    find_archives([sealed])[0].unlink()
    parts = list(counting)
    assert [part.counts.events for part in parts] == [0, 50]
    assert "No such file" in str(parts[0].faults[0])


def test_copies_of_an_archive_are_counted_once(sealed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    original = find_archives([sealed])[0]
    (copy / original.name).write_bytes(original.read_bytes())
    assert counted([sealed, copy], BY_TYPE).counts.events == 100


def test_other_processes_give_the_same_counts(sealed: Path) -> None:
    alone = counted([sealed], parse_grouping("serial,type", "1h"))
    with processes(2) as executor:
        counting = Counting([sealed], Query(), parse_grouping("serial,type", "1h"))
        counting.executor = executor
        total = Part()
        for part in counting:
            total.merge(part)
    assert list(total.counts.rows()) == list(alone.counts.rows())
