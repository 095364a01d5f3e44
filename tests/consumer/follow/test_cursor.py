import errno
from pathlib import Path

import pytest

from consumer.archive.listing import find_again
from consumer.archive.naming import ArchiveId, lock_path
from consumer.archive.reading.catalog import all_batches
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.reader import ArchiveFile
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
    found = cursor.read([] if faults is None else faults, lambda _: None)
    return [[number for number, _ in events.kept] for events in found]


def test_a_batch_is_given_once_also_if_its_reader_stops_there(path: Path) -> None:
    cursor = cursor_in(path)
    assert next(cursor.read([], lambda _: None)).last[0] == 3
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
    """The watermark of the writer says how far it has synced; the bytes of the next batch can be read already."""
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


def test_a_cursor_waits_for_the_recovery_of_an_archive_that_its_writer_gave_up(tmp_path: Path) -> None:
    disk = FailingDisk()
    one = archive_log(tmp_path, disk)
    one.append(some(0, 2))
    assert one.writer is not None
    path = one.writer.path
    cursor, late = cursor_in(path), cursor_in(path)
    assert numbers(cursor) == [[0, 1]]
    one.append(some(2, 2))
    disk.failing = True
    with pytest.raises(StorageFault):
        one.append(some(4, 2))
    with held(Disk(), lock_path(tmp_path, "one")):  # the instance lives
        for reader in (cursor, late):
            assert numbers(reader)[-1] == [2, 3]
            reader.end_if_finished()
            assert not reader.ended, "its third batch may be durable"
        disk.failing = False
        one.append(some(4, 2))
    sealed = find_again(path)[0]
    for reader in (cursor, late):
        reader.rename(sealed)
        assert numbers(reader) == []
        assert reader.ended
        reader.close()


def test_an_archive_that_was_removed_is_sought_everywhere_once(path: Path) -> None:
    looks: list[bool] = []
    faults: list[ReadFault] = []
    cursor = cursor_in(path)
    path.unlink()
    for _ in range(2):
        assert list(cursor.read(faults, looks.append)) == []
    assert looks == [True, False]
    assert not cursor.is_live()
    cursor.end_if_finished()
    assert (cursor.ended, cursor.is_whole, faults) == (True, False, [])


def test_an_archive_that_is_sealed_while_its_cursor_asks_is_not_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there when that was asked, and gone when its lock was: the tail ended with an error."""
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
