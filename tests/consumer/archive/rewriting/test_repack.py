from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codec import archive as container
from codec.event import Event
from consumer.archive.checking.verify import verify
from consumer.archive.layout import Layout
from consumer.archive.listing import find_archives
from consumer.archive.reading.catalog import Wanted, look_up
from consumer.archive.reading.duplicates import DuplicateMode
from consumer.archive.reading.reader import ArchiveFile, StoredBatch, open_archive
from consumer.archive.reading.tombstones import add_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.archive.rewriting.repack import pays, repack
from consumer.archive.writing import recovery
from consumer.disk.durable import Disk
from consumer.follow.tail import Tail
from consumer.query.query import Query, make_query
from consumer.query.search import Search
from tests.support import archives
from tests.support.archive_logs import archive_log, event, some
from tests.support.mixes import notification_mix, small_mix

NOW = "2026-11-21T16:15:00.000000Z"


def one_by_one(directory: Path, events: list[Event], seal: bool = True) -> None:
    one = archive_log(directory)
    for found in events:
        one.append([found])
    if seal:
        one.roll("test")
    elif one.writer is not None:
        one.writer.abandon()


def repacked(directory: Path) -> list[str]:
    return [done.outcome for done in repack(Disk(), [directory])]


def faults(directory: Path) -> list[str]:
    return [str(fault) for verdict in verify([directory]) for fault in verdict.faults]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two sealed archives of one event a batch, the second chained to the first."""
    one_by_one(tmp_path / "archive", some(0, 40))
    one_by_one(tmp_path / "archive", some(40, 20))
    return tmp_path / "archive"


@pytest.mark.parametrize(("mix", "limit"), [(notification_mix, 1.25), (small_mix, 1.25)])
def test_archives_of_one_event_a_batch_take_little_more_than_zstd_3(
    tmp_path: Path, mix: Callable[[], Iterator[Event]], limit: float
) -> None:
    """They were as large as plain text."""
    events = list(mix())
    one_by_one(tmp_path / "archive", events)
    (path,) = find_archives([tmp_path])
    plain = len(container.zstd.compress(b"\n".join(found.body for found in events), 3))
    before = path.stat().st_size
    assert repacked(tmp_path) == ["repacked"]
    after = path.stat().st_size
    print(f"{len(events)} events: zstd -3 {plain}, before {before / plain:.2f}, after {after / plain:.3f}")
    assert before > 4 * plain
    assert after <= limit * plain
    assert archives.events(tmp_path) == events


def test_a_repacked_archive_holds_the_same_events_at_the_same_positions(directory: Path) -> None:
    before = list(Search([directory]))
    sizes = [path.stat().st_size for path in find_archives([directory])]
    assert repacked(directory) == ["repacked", "repacked"]
    assert list(Search([directory])) == before
    assert [verdict.batches for verdict in verify([directory])] == [1, 1]
    assert all(path.stat().st_size < size for path, size in zip(find_archives([directory]), sizes, strict=True))
    assert repacked(directory) == []


def test_the_chain_of_archives_stays_proven(directory: Path) -> None:
    one_by_one(directory, some(60, 5), seal=True)
    repacked(directory)
    one_by_one(directory, some(65, 5))
    assert faults(directory) == []
    repacked(directory)
    assert faults(directory) == []


def test_deletions_and_marks_do_not_change(directory: Path) -> None:
    marked = event(60)._replace(duplicate="one-00000001:3", redelivered=True)
    one_by_one(directory, [marked, *some(61, 3)])
    with open_archive(find_archives([directory])[0]) as archive:
        add_tombstones(Disk(), archive, [7], "x", NOW)
    repacked(directory)
    shown = list(Search([directory], Query(duplicates=DuplicateMode.SHOW)))
    assert "one-00000001:7" not in [found.position for found in shown]
    assert [found.event.duplicate for found in shown if found.event.duplicate] == ["one-00000001:3"]
    (done,) = compact(Disk(), [directory])
    assert (done.outcome, done.events) == ("compacted", 1)
    assert [verdict.removed for verdict in verify([directory])] == [1, 0, 0]
    assert faults(directory) == []


def test_recovered_archives_get_filters(tmp_path: Path) -> None:
    one = archive_log(tmp_path / "archive")
    for at in range(0, 6000, 2000):
        one.append(some(at, 2000))
    assert one.writer is not None
    one.writer.abandon()
    recovery.recover(Disk(), Layout(tmp_path / "archive"), one.writer.path)
    (path,) = find_archives([tmp_path])
    wanted = Wanted(ids=frozenset(["id-4001"]))
    assert len(look_up(path, wanted).batches) == 3
    assert repacked(tmp_path) == ["repacked"]
    assert len(look_up(path, wanted).batches) == 1
    assert repacked(tmp_path) == []
    assert faults(tmp_path) == []


def test_a_reader_that_has_the_old_file_open_reads_it_to_its_end(directory: Path) -> None:
    path = find_archives([directory])[0]
    with ArchiveFile(path) as archive:
        parts = archive.parts()
        first = next(parts)
        repacked(directory)
        rest = [first, *parts]
    assert [found for part in rest if isinstance(part, StoredBatch) for found in part.events()] == some(0, 40)


def test_a_search_that_was_planned_before_finds_the_archive_again(directory: Path) -> None:
    planned = Search([directory], make_query())
    planned.plan()
    repacked(directory)
    assert [found.event for found in planned] == some(0, 60)
    assert planned.faults == []


def test_a_tail_continues_after_a_repacking(directory: Path) -> None:
    tail = Tail([directory])
    assert [found.event for found in tail.newest(5)] == some(55, 5)
    repacked(directory)
    one_by_one(directory, some(60, 5))
    tail.follower.streams.look(everywhere=True)
    assert [found.event for found in tail.read()] == some(60, 5)
    assert tail.faults == []
    tail.close()


@pytest.mark.parametrize(("place", "outcomes"), [("header", []), ("frame", ["unfit"])])
def test_an_archive_that_has_lost_something_stays_as_it_is(directory: Path, place: str, outcomes: list[str]) -> None:
    path = find_archives([directory])[0]
    path.chmod(0o640)
    raw = bytearray(path.read_bytes())
    raw[_places(path)[place] + 40] ^= 1
    path.write_bytes(raw)
    assert repacked(directory) == [*outcomes, "repacked"]
    assert path.read_bytes() == raw


def _places(path: Path) -> dict[str, int]:
    """Where the header and the frame of a batch in the middle begin."""
    with open_archive(path) as archive:
        batch = [part for part in archive.parts(frames=False) if isinstance(part, StoredBatch)][20]
    return {"header": batch.offset, "frame": batch.offset + container.BATCH_HEADER_BYTES}


def test_full_batches_are_left_alone(tmp_path: Path) -> None:
    one = archive_log(tmp_path / "archive")
    for at in range(0, 3000, 1000):
        one.append(some(at, 1000))
    one.roll("test")
    assert not pays(find_archives([tmp_path])[0])
    assert repacked(tmp_path) == []


def test_of_two_at_a_time_one_does_it(directory: Path) -> None:
    path = find_archives([directory])[0]
    disk = Disk()
    fd = disk.create(path.with_name(path.name + ".compacting"))
    assert [done.outcome for done in repack(disk, [path])] == ["unfit"]
    disk.close(fd)
    assert repacked(path) == ["repacked"]
    assert sorted(directory.rglob("*.compacting")) == []


def test_a_full_disk_leaves_the_archive_as_it_was(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "free_bytes", lambda _self, _path: 1 << 20)
    assert repacked(directory) == ["unfit", "unfit"]
    assert sorted(directory.rglob("*.compacting")) == []
    assert faults(directory) == []
