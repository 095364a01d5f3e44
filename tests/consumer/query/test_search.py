import shutil
import tracemalloc
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.event import Event
from codec.footer import encode_row
from consumer.archive.listing import find_archives
from consumer.archive.position import Position
from consumer.archive.reading.catalog import Wanted, entries
from consumer.archive.reading.reader import ArchiveFile, Seal
from consumer.archive.reading.tombstones import add_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.disk.durable import Disk
from consumer.query.query import Query, make_query
from consumer.query.search import Search
from tests.support.archive_logs import START_US, archive_log, event, some
from tests.support.processes import processes
from tests.support.rolling import Rolling, Unsynced


def at(serial: int, time: int) -> Event:
    return event(serial)._replace(time_us=START_US + time)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two instances with sealed and open archives, their times interleaved and not in order."""
    for offset, instance in ((0, "one"), (1, "two")):
        writer = archive_log(tmp_path / "archive", instance=instance)
        for batch in range(6):
            serials = range(100 * batch, 100 * batch + 20)
            writer.append([at(2 * serial + offset, 2 * (serial ^ 5) + offset) for serial in serials])
            if batch in (2, 4):
                writer.roll("test")
    return tmp_path / "archive"


def times(found: Iterator[object]) -> list[int]:
    return [one.event.time_us for one in found]


def test_events_are_merged_by_time_across_files_and_instances(directory: Path) -> None:
    """Theia's order within and across files was not that of time when an event came late."""
    found = list(Search([directory]))
    assert times(found) == sorted(times(found))
    assert len({one.position for one in found}) == 240


def test_descending_is_ascending_backwards(directory: Path) -> None:
    """Theia could not."""
    assert list(Search([directory], descending=True)) == list(Search([directory]))[::-1]


def test_equal_times_keep_the_order_of_archive_and_place(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for batch in range(3):
        one.append([at(10 * batch + index, 0) for index in range(5)])
    found = [event.id for event, _ in Search([tmp_path])]
    assert found == [f"id-{10 * batch + index}" for batch in range(3) for index in range(5)]
    assert [event.id for event, _ in Search([tmp_path], descending=True)] == found[::-1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=6), min_size=1, max_size=6),
    st.integers(0, 30), st.integers(0, 30), st.booleans(),
)  # fmt: skip
def test_a_search_and_a_scan_find_the_same_events(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], first: int, last: int, descending: bool
) -> None:
    first, last = sorted((first, last))
    directory = tmp_path_factory.mktemp("archive")
    one = archive_log(directory)
    serial = 0
    for number, moments in enumerate(batches):
        one.append([at(serial := serial + 1, moment) for moment in moments])
        if number % 2:
            one.roll("test")
    query = make_query(since_us=START_US + first, until_us=START_US + last)
    found = times(Search([directory], query, descending))
    expected = sorted(START_US + moment for moments in batches for moment in moments if first <= moment <= last)
    assert found == (expected[::-1] if descending else expected)


def test_the_newest_committed_event_is_found_before_anything_is_flushed_or_sealed(tmp_path: Path) -> None:
    """Theia's search before the first flush raised FileNotFoundError."""
    one = archive_log(tmp_path)
    assert list(Search([tmp_path])) == []
    one.append([event(1)])
    assert [found.event.id for found in Search([tmp_path])] == ["id-1"]
    one.append([event(2)])
    assert [found.event.id for found in Search([tmp_path])] == ["id-1", "id-2"]


def test_an_event_between_two_archives_is_found(tmp_path: Path) -> None:
    """Theia put the event of 200 into the file of 300 to 360, and found nothing from 190 to 250."""
    one = archive_log(tmp_path)
    one.append([at(1, 100), at(2, 160)])
    one.roll("test")
    one.append([at(3, 300), at(4, 200), at(5, 360)])
    one.roll("test")
    query = make_query(since_us=START_US + 190, until_us=START_US + 250)
    assert [found.event.id for found in Search([tmp_path], query)] == ["id-4"]


def test_damage_in_one_archive_costs_its_own_events(directory: Path) -> None:
    """Theia's iterator raised at a torn tail, and later files stayed unread."""
    first = find_archives([directory])[0]
    first.chmod(0o600)
    raw = bytearray(first.read_bytes())
    raw[600] ^= 1
    first.write_bytes(raw)
    job = Search([directory], Query())
    assert len(list(job)) == 220
    assert len(job.faults) == 1
    assert job.faults[0].path == first
    assert job.faults[0].offset is not None


def test_a_limit_reads_no_more_than_it_needs(directory: Path) -> None:
    job = Search([directory], Query())
    next(iter(job))
    assert job.batches_read <= 4


def test_an_id_reads_its_batch_and_the_cost_is_explained(directory: Path) -> None:
    job = Search([directory], make_query(ids=["id-2"]))
    assert [found.event.id for found in job] == ["id-2"]
    sealed, opened = 1, 2  # an open archive has no filters
    assert job.batches_read == sealed + opened
    assert f"read {job.bytes_read:,} of {job.bytes:,} bytes" in job.explain()


def test_workers_find_the_same(directory: Path) -> None:
    query = make_query(match="serial", where=["serial>100"])
    with processes(2) as executor:
        assert list(Search([directory], query, executor=executor)) == list(Search([directory], query))


def delete(path: Path, number: int) -> None:
    with ArchiveFile(path) as archive:
        add_tombstones(Disk(), archive, [number], "x", "2026-11-21T16:15:00.000000Z")


def test_a_deleted_event_is_not_found(directory: Path) -> None:
    (found,) = Search([directory], make_query(ids=["id-2"]))
    assert found.position.startswith("one-00000001:")
    delete(find_archives([directory])[0], Position.parse(found.position).event)
    assert list(Search([directory], make_query(ids=["id-2"]))) == []
    assert len(list(Search([directory]))) == 239


def test_an_archive_that_is_compacted_during_a_search_is_read_to_its_end(directory: Path) -> None:
    path = find_archives([directory])[0]
    delete(path, 0)
    job = Search([path], Query())
    job.plan()
    assert [done.outcome for done in compact(Disk(), [path])] == ["compacted"]
    assert (len(list(job)), job.faults) == (59, [])


def test_an_archive_that_is_sealed_while_the_directory_is_listed_is_searched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 5))
    before = find_archives([tmp_path])
    one.roll("test")
    monkeypatch.setattr(
        "consumer.archive.reading.catalog.find_archives", lambda _: [*before, *find_archives([tmp_path])]
    )
    assert len(list(Search([tmp_path]))) == 5


def test_a_type_that_is_no_utf_8_is_found(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append([event(1)._replace(type="bad\udcff"), event(2)])
    one.roll("test")
    assert [found.event.id for found in Search([tmp_path], make_query(types=["bad*"]))] == ["id-1"]
    assert [found.event.id for found in Search([tmp_path], make_query(types=["!type.*"]))] == ["id-1"]


def test_tombstones_that_cannot_be_read_hide_only_their_archive(directory: Path) -> None:
    (directory / "one-00000001.deleted").write_text("{")
    job = Search([directory], Query())
    assert (len(list(job)), len(job.faults)) == (180, 1)


def test_a_damaged_filter_is_detected_if_filters_are_verified(directory: Path) -> None:
    first = find_archives([directory])[0]
    first.chmod(0o600)
    raw = bytearray(first.read_bytes())
    with ArchiveFile(first) as archive:
        seal = list(archive.parts())[-1]
    words = raw.index(bytes(row_of(seal, -1)), seal.offset) + 88
    size = 8 * sum(len(row.words) for row in seal.rows)
    raw[words : words + size] = bytes(size)
    first.write_bytes(raw)
    query = make_query(ids=["id-2"])
    assert list(Search([first], query)) == []
    assert len(list(Search([first], query, verify_filters=True))) == 1


def row_of(seal: Seal, number: int) -> bytes:
    header = seal.rows[number].header
    return encode_row(header, b"\0" * 8 * len(seal.rows[number].words))


def test_an_archive_that_is_sealed_during_a_search_is_read_to_its_end(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for batch in range(30):
        one.append(some(10 * batch, 10))
    found = iter(Search([tmp_path]))
    first = next(found)
    one.roll("test")
    assert [first.event.id, *(one.event.id for one in found)] == [f"id-{serial}" for serial in range(300)]


def test_a_search_misses_nothing_that_was_archived_before_it_began(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """A writer in another process rolls all the time, and makes a date folder for each archive."""
    with Rolling(tmp_path, archives=40) as writer:
        for _ in range(pytestconfig.getoption("searches")):
            directory, archived = writer.archived()
            job = Search([directory], Query())
            found = [event.id for event, _ in job]
            assert archived <= set(found)
            assert (len(found), job.faults) == (len(set(found)), [])


def test_an_archive_that_gets_the_inode_of_a_removed_one_is_searched(tmp_path: Path) -> None:
    """Archives were distinguished by device and inode, and compacting frees an inode for the next one."""
    one = archive_log(tmp_path)
    for serial in range(6):
        one.append(some(10 * serial, 10))
        one.roll("test")
    paths = find_archives([tmp_path])
    found = []
    for entry in entries([tmp_path], Wanted()):
        found.append(entry.id)
        for later in paths[paths.index(entry.path) + 1 :]:
            renew(later)
            entry.path.unlink(missing_ok=True)
    assert found == [f"one-{sequence:08d}" for sequence in range(1, 7)]


def renew(path: Path) -> None:
    """The same bytes in a new file, which gets the first free inode."""
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(raw)


NAME = "20251121T161500.000000Z-20251121T161500.000000Z-one-00000001.kvp.zst"


@pytest.mark.parametrize("name", ["{}.kvp.zst", "{}/" + NAME])
def test_every_path_that_cannot_be_read_is_named_once(tmp_path: Path, name: str) -> None:
    """Of all that could not be opened only the first was named; of those with one archive name, none."""
    missing = [tmp_path / name.format(number) for number in range(3)]
    job = Search([*missing, missing[0]], Query())
    assert list(job) == []
    assert [*map(str, job.faults)] == [f"{path}: No such file or directory" for path in missing]


@pytest.fixture
def copied(directory: Path, tmp_path: Path) -> Path:
    """A second place with a copy of every archive."""
    shutil.copytree(directory, tmp_path / "copy")
    return tmp_path / "copy"


def test_copies_of_an_archive_are_read_once(directory: Path, copied: Path) -> None:
    sealed = find_archives([copied])[0]
    renamed = sealed.rename(copied / "renamed.zst")
    assert list(Search([directory, copied])) == list(Search([directory]))
    assert list(Search([directory, renamed])) == list(Search([directory]))
    assert len(list(Search([renamed]))) == 60


def test_of_several_copies_the_one_with_the_most_events_is_read(directory: Path, copied: Path) -> None:
    sealed = find_archives([copied])[0]
    sealed.chmod(0o600)
    raw = sealed.read_bytes()
    sealed.write_bytes(raw[: len(raw) // 3])
    job = Search([copied, directory], Query())
    assert (len(list(job)), job.faults) == (240, [])


def test_an_event_that_is_deleted_in_one_copy_is_not_shown_from_another(directory: Path, copied: Path) -> None:
    delete(find_archives([copied])[0], 0)
    assert len(list(Search([directory, copied]))) == 239


def test_different_archives_of_one_name_are_both_read(tmp_path: Path) -> None:
    for place, first in (("a", 0), ("b", 100)):
        one = archive_log(tmp_path / place)
        one.append(some(first, 10))
        one.roll("test")
    assert len({found.event.id for found in Search([tmp_path])}) == 20


def test_an_archive_that_is_sealed_between_listing_and_opening_is_read_although_another_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 10))
    other = archive_log(tmp_path / "0")
    other.append(some(100, 10))
    other.roll("test")
    before = find_archives([tmp_path])
    one.roll("test")
    monkeypatch.setattr("consumer.archive.reading.catalog.find_archives", lambda _: before)
    assert len({found.event.id for found in Search([tmp_path])}) == 20


@pytest.fixture
def overlapping(tmp_path: Path) -> Path:
    """15 MB of bodies. Each batch holds events of wrong times, so that all others come when all batches were read."""
    one = archive_log(tmp_path, Unsynced())
    for batch in range(30):
        made = [event(serial, size=5000) for serial in range(100 * batch, 100 * batch + 100)]
        made[77] = made[77]._replace(time_us=0)
        made[78] = made[78]._replace(time_us=2 * START_US)
        one.append(made)
    one.roll("test")
    return tmp_path


@pytest.mark.parametrize("descending", [False, True])
def test_memory_is_bounded_when_all_batches_overlap_in_time(
    overlapping: Path, monkeypatch: pytest.MonkeyPatch, descending: bool
) -> None:
    monkeypatch.setattr("consumer.query.merge.HELD_BYTES_MAX", 1 << 20)
    times = array("q")
    tracemalloc.start()
    for one in Search([overlapping], Query(), descending):
        times.append(one.event.time_us)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert times.tolist() == sorted(times, reverse=descending)
    assert len(times) == 3000
    assert peak < 8 << 20


@pytest.mark.parametrize("descending", [False, True])
def test_a_limit_stops_early_when_all_batches_overlap_in_time(overlapping: Path, descending: bool) -> None:
    job = Search([overlapping], Query(), descending)
    assert len(list(islice(job, 5))) == 5
    assert job.batches_read <= 6


def test_a_removed_archive_is_reported_also_if_another_directory_has_one_of_its_name(tmp_path: Path) -> None:
    """A link to a disk that was not mounted: half of the events were missing, and no fault was reported."""
    for number, place in enumerate((tmp_path / "a", tmp_path / "b")):
        one = archive_log(place)
        one.append(some(10 * number, 10))
        one.roll("test")
    (path,) = find_archives([tmp_path / "a"])
    path.rename(tmp_path / "away")
    path.symlink_to(tmp_path / "not-mounted")
    job = Search([tmp_path / "a", tmp_path / "b"], Query())
    assert [event.id for event, _ in job] == [f"id-{number}" for number in range(10, 20)]
    assert [*map(str, job.faults)] == [f"{path}: No such file or directory"]
