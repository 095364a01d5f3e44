from itertools import islice
from pathlib import Path

import pytest

from consumer.archive.naming import ArchiveId
from consumer.archive.reading.reader import ArchiveFile
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


def numbers(cursor: Cursor, count: int | None = None) -> list[int]:
    return [number for number, _ in islice(cursor.read([], lambda _: None), count)]


def test_a_reader_that_stops_in_mid_batch_gets_the_rest_and_nothing_twice(path: Path) -> None:
    cursor = cursor_in(path)
    assert numbers(cursor, 2) == [0, 1]
    assert cursor.next_event == 2
    assert numbers(cursor, 3) == [2, 3, 4]
    assert numbers(cursor) == [5, 6, 7]
    assert (numbers(cursor), cursor.next_event, cursor.ended) == ([], 8, False)
    cursor.close()


def test_the_end_of_an_archive_is_skipped_to(path: Path) -> None:
    cursor = cursor_in(path)
    with ArchiveFile(path) as archive:
        cursor.skip(list(archive.parts(frames=False)))
    assert (numbers(cursor), cursor.next_event) == ([], 8)
    cursor.close()


def test_an_archive_that_was_removed_is_sought_everywhere_once(path: Path) -> None:
    looks: list[bool] = []
    cursor = cursor_in(path)
    path.unlink()
    assert [number for number, _ in cursor.read([], looks.append)] == list(range(8))
    assert looks == [True, False]
    assert not cursor.is_live()
    cursor.close()


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
