import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from codec.watermark import Watermark, encode_watermark
from consumer.archive.layout import Layout
from consumer.archive.listing import find_again, find_archives
from consumer.archive.naming import ArchiveId, lock_path
from consumer.archive.reading.catalog import all_batches
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.rewriting.repair import repair_sealed
from consumer.archive.writing.recovery import recover
from consumer.disk.durable import Disk, held
from consumer.errors import StorageFault
from consumer.follow.cursor import Cursor
from tests.support.archive_logs import archive_log, some


@pytest.fixture
def path(tmp_path: Path) -> Path:
    one = archive_log(tmp_path)
    one.append(some(0, 4))
    one.append(some(4, 4))
    assert one.writer is not None
    return one.writer.path


def cursor_in(path: Path) -> Cursor:
    return Cursor(ArchiveFile(path), ArchiveId("one", 1))


def numbers(cursor: Cursor, faults: list[ReadFault] | None = None) -> list[list[int]]:
    """The numbers of the events of each batch."""
    found = cursor.read((faults if faults is not None else []).append, lambda _: None)
    return [[number for number, _ in events.kept] for events in found]


def test_a_batch_is_given_once_also_if_its_reader_stops_there(path: Path) -> None:
    cursor = cursor_in(path)
    assert next(cursor.read(print, lambda _: None)).last[0] == 3
    assert cursor.next_event == 4
    assert numbers(cursor) == [[4, 5, 6, 7]]
    assert (numbers(cursor), cursor.next_event, cursor.ended) == ([], 8, False)
    cursor.close()


def test_the_end_of_the_durable_batches_is_skipped_to(path: Path) -> None:
    cursor = cursor_in(path)
    with ArchiveFile(path) as archive:
        assert cursor.skip_durable(all_batches(archive)) == 2
    assert (numbers(cursor), cursor.next_event) == ([], 8)
    cursor.close()


def test_reading_goes_on_with_any_event_of_a_batch(path: Path) -> None:
    for next_event, expected in (
        (0, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (3, [[3], [4, 5, 6, 7]]),
        (4, [[4, 5, 6, 7]]),
        (6, [[6, 7]]),
    ):
        cursor = cursor_in(path)
        with ArchiveFile(path) as archive:
            cursor.skip_to(next_event, all_batches(archive))
        assert numbers(cursor) == expected
        cursor.close()


def test_a_batch_is_not_given_before_its_sync_has_returned(tmp_path: Path) -> None:
    """The watermark of the writer counts the synced bytes; the bytes of the next batch can be read already."""
    one = archive_log(tmp_path)
    one.append(some(0, 4))
    assert one.writer is not None
    cursor = cursor_in(one.writer.path)
    assert one.writer.append(some(4, 4)).events == 4  # this way the watermark is not published
    assert numbers(cursor) == [[0, 1, 2, 3]]
    assert numbers(cursor) == []
    one.append(some(8, 1))
    assert numbers(cursor) == [[4, 5, 6, 7], [8]]
    cursor.close()


class FailingDisk(Disk):
    """While `failing`, no sync and no truncation succeeds: a batch is written and not promised, and recovery is put off."""

    failing = False

    def sync(self, fd: int) -> None:
        self._fail()
        super().sync(fd)

    def truncate(self, fd: int, size: int) -> None:
        self._fail()
        super().truncate(fd, size)

    def _fail(self) -> None:
        if self.failing:
            raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def given_up(tmp_path: Path) -> Iterator[Path]:
    """An open archive with three batches, of which two are durable. Its writer gave it up, and its instance is running."""
    disk = FailingDisk()
    one = archive_log(tmp_path, disk)
    one.append(some(0, 2))
    assert one.writer is not None
    path = one.writer.path
    one.append(some(2, 2))
    disk.failing = True
    with pytest.raises(StorageFault):
        one.append(some(4, 2))
    with held(Disk(), lock_path(tmp_path, "one")):
        yield path


def test_a_cursor_waits_for_the_recovery_of_an_archive_that_was_given_up_and_reports_a_long_wait(
    given_up: Path,
) -> None:
    """Recovery may keep the third batch. Then a copy in a later archive may be marked as its duplicate, and hidden."""
    cursor = cursor_in(given_up)
    faults: list[ReadFault] = []
    assert numbers(cursor, faults) == [[0, 1], [2, 3]]
    given_up.with_name("one.committed").write_bytes(encode_watermark(Watermark(2, 1, 1)))  # the next archive
    late = cursor_in(given_up)
    assert numbers(late, faults) == [[0, 1], [2, 3]], "the ledger counts them"
    for now_s, count in ((100.0, 0), (109.9, 0), (110.0, 1)):
        cursor.end_if_finished(faults.append, now_s, 10.0, False)
        assert (cursor.ended, len(faults)) == (False, count)
    assert "its recovery is awaited" in str(faults[0])
    recover(Disk(), Layout(given_up.parent), given_up)  # of a later run, which does not know that the sync failed
    for reader in (cursor, late):
        reader.rename(find_again(given_up)[0])
        assert numbers(reader) == [[4, 5]]
        assert reader.ended


def test_a_sealed_archive_whose_end_is_cut_off_is_reported_and_not_left_if_errors_are_waited_for(
    tmp_path: Path,
) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    one.append(some(2, 2))
    one.roll("test")
    (path,) = find_archives([tmp_path])
    raw = path.read_bytes()
    with ArchiveFile(path) as archive:
        second = all_batches(archive)[1]
    path.chmod(0o600)
    path.write_bytes(raw[: second.offset + 10])
    for waits in (False, True):
        cursor = cursor_in(path)
        faults: list[ReadFault] = []
        assert numbers(cursor, faults) == [[0, 1]]
        cursor.end_if_finished(faults.append, 0.0, 10.0, waits)
        assert (cursor.ended, cursor.is_whole) == (not waits, waits)
        assert [str(fault) for fault in faults] == [f"{path}: at {second.offset}: the end of the archive is cut off"]
    path.write_bytes(raw)  # the copy is complete now
    assert numbers(cursor) == [[2, 3]]
    assert cursor.ended


def test_batches_that_come_while_an_archive_is_read_are_not_passed(tmp_path: Path) -> None:
    """The archive was sealed during a slow read: the batches after the size at its beginning were skipped."""
    one = archive_log(tmp_path)
    one.append(some(0, 1))
    assert one.writer is not None
    cursor = cursor_in(one.writer.path)
    found = cursor.read(print, lambda _: None)
    assert next(found).last[0] == 0
    one.append(some(1, 1))
    one.roll("test")
    assert list(found) == []
    cursor.end_if_finished(print, 0.0, 10.0, False)
    assert not cursor.ended
    cursor.rename(find_archives([tmp_path])[0])
    assert numbers(cursor) == [[1]]
    assert cursor.ended


def test_an_archive_that_was_removed_is_sought_everywhere_once(path: Path) -> None:
    looks: list[bool] = []
    faults: list[ReadFault] = []
    cursor = cursor_in(path)
    path.unlink()
    for _ in range(2):
        assert list(cursor.read(faults.append, looks.append)) == []
    assert looks == [True, False]
    assert not cursor.is_live()
    cursor.end_if_finished(faults.append, 0.0, 10.0, False)
    assert (cursor.ended, cursor.is_whole, faults) == (True, False, [])


def test_an_archive_that_is_sealed_while_its_cursor_asks_is_not_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was removed after the check that it exists and before the check of its lock: the tail ended with an error."""
    one = archive_log(tmp_path)
    one.append(some(0, 1))
    (path,) = tmp_path.glob("*.open")
    cursor = cursor_in(path)
    real = Path.exists

    def sealed_then(asked: Path) -> bool:
        there = real(asked)
        if asked == path and one.writer is not None:
            one.roll("test")
        return there

    monkeypatch.setattr(Path, "exists", sealed_then)
    assert cursor.is_live() is path.exists()
    assert not cursor.is_live()
    cursor.close()


def damaged(directory: Path) -> Path:
    """A sealed archive with three batches, of which the second one is damaged."""
    one = archive_log(directory)
    for at in (0, 2, 4):
        one.append(some(at, 2))
    one.roll("test")
    (path,) = find_archives([directory])
    with ArchiveFile(path) as archive:
        second = all_batches(archive)[1]
    raw = bytearray(path.read_bytes())
    raw[second.offset + second.size - 5] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)
    return path


def test_events_that_are_missing_in_an_archive_are_reported_once_before_and_after_its_repair(tmp_path: Path) -> None:
    path = damaged(tmp_path)
    for reason in ("damaged", "2 events missing before event 4"):
        cursor = cursor_in(path)
        faults: list[ReadFault] = []
        assert numbers(cursor, faults) == [[0, 1], [4, 5]]
        assert len(faults) == 1
        assert reason in faults[0].reason
        repair_sealed(Disk(), path)


def test_a_damaged_end_of_an_archive_whose_writer_is_gone_is_reported_when_the_next_one_has_begun(
    tmp_path: Path,
) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    one.append(some(2, 2))
    assert one.writer is not None
    path = one.writer.path
    one.writer.abandon()
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)
    cursor = cursor_in(path)
    faults: list[ReadFault] = []
    assert numbers(cursor, faults) == [[0, 1]]
    assert faults == []
    cursor.end_if_finished(faults.append, 0.0, 10.0, False)
    assert cursor.ended
    assert "torn" in faults[0].reason
