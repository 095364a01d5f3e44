from dataclasses import replace
from pathlib import Path

import pytest

from codec.archive import BatchHeader
from consumer.archive import naming
from consumer.archive.layout import Layout
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import (
    SUFFIX,
    LiveTombstones,
    Tombstones,
    add_tombstones,
    is_removed,
    remove_tombstones,
    removed,
)
from consumer.disk.durable import Disk, held
from consumer.errors import DeedboxError
from tests.support.archive_logs import archive_log, event, some

NOW = "2026-11-21T16:15:00.000000Z"
BATCH = BatchHeader(0, 3, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 3))
    assert one.writer is not None
    return one.writer.path


def deleted(path: Path, *events: int, id: str = "x") -> int:
    with ArchiveFile(path) as archive:
        return add_tombstones(Disk(), archive, events, id, NOW)


def found(path: Path) -> Tombstones:
    with ArchiveFile(path) as archive:
        return Tombstones.of(archive)


def test_a_deleted_event_is_hidden_and_the_others_keep_their_numbers(path: Path) -> None:
    assert deleted(path, 1) == 1
    assert [number for number, _ in found(path).kept(BATCH, some(0, 3))] == [0, 2]
    assert [number for number, _ in found(path).kept(replace(BATCH, first_event=3), some(0, 3))] == [3, 4, 5]


def test_deleting_again_adds_nothing(path: Path) -> None:
    deleted(path, 1)
    assert deleted(path, 1, 2) == 1
    assert len((path.parent / f"one-00000001{SUFFIX}").read_bytes().splitlines()) == 2


def test_tombstones_of_an_open_archive_hold_when_it_has_been_sealed(path: Path) -> None:
    deleted(path, 1)
    sealed = path.parent / "2026" / "11" / "20261121T161500.000000Z-20261121T161500.000000Z-one-00000001.kvp.zst"
    sealed.parent.mkdir(parents=True)
    path.rename(sealed)
    deleted(sealed, 2)
    assert found(sealed).events == {1, 2}


def test_a_deleted_event_stays_hidden_under_the_deepest_template_that_is_accepted(tmp_path: Path) -> None:
    """With six directories it was shown again when its archive was sealed."""
    accepted = [template for n in range(9) if not naming.template_fault(template := "a/" * n + naming.TAIL)]
    archives = archive_log(tmp_path / "deep")
    archives.settings = replace(archives.settings, layout=Layout(tmp_path / "deep", accepted[-1]))
    archives.append(some(0, 3))
    assert archives.writer is not None
    deleted(archives.writer.path, 1)
    archives.roll("test")
    (sealed,) = find_archives([tmp_path / "deep"])
    assert found(sealed).events == {1}


def test_another_archive_of_the_same_name_is_not_meant(path: Path, tmp_path: Path) -> None:
    """Two directories may each have an archive `one-00000001`."""
    other = archive_log(path.parent / "below")
    other.append(some(100, 3))
    assert other.writer is not None
    deleted(path, 1)
    assert found(other.writer.path).events == frozenset()
    copy = path.parent / "copy" / path.name
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    assert found(copy).events == {1}


@pytest.mark.parametrize("raw", [b'{"event":0\n', b'{"head":"\xff","event":0,"id":"x","deleted":""}\n'])
def test_a_file_that_cannot_be_read_shows_no_deleted_event(path: Path, raw: bytes) -> None:
    (path.parent / f"one-00000001{SUFFIX}").write_bytes(raw)
    with pytest.raises(DeedboxError, match="would be shown"):
        found(path)


def test_two_at_a_time_are_refused(path: Path) -> None:
    with held(Disk(), path.parent / f"one-00000001{SUFFIX}.lock"), pytest.raises(DeedboxError, match="another process"):
        deleted(path, 1)


def test_an_archive_without_a_head_is_repaired_first(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[20] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DeedboxError, match="head is damaged"):
        deleted(path, 1)


def test_an_id_that_is_no_utf_8_can_be_deleted(path: Path) -> None:
    assert deleted(path, 1, id="a\udcff") == 1


def test_a_removed_event_keeps_its_position_and_its_arrival() -> None:
    gone = removed(event(7))
    assert is_removed(gone)
    assert not is_removed(event(7))
    assert (gone.arrived_us, gone.body, gone.id, gone.routing_key) == (event(7).arrived_us, b"", "", "")
    assert list(Tombstones().kept(BATCH, [gone, event(8)])) == [(1, event(8))]


def test_the_file_of_an_archive_that_stays_open_is_read_again_only_after_a_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ArchiveFile(path) as archive:
        live = LiveTombstones(archive)
        assert live.at(path).events == frozenset()
        deleted(path, 1)
        assert live.at(path).events == {1}
        monkeypatch.setattr(Path, "read_bytes", None)
        assert live.at(path).events == {1}
        monkeypatch.undo()
        deleted(path, 2)
        assert live.at(path).events == {1, 2}


def test_a_tombstone_is_removed_wherever_it_is_and_others_stay(path: Path) -> None:
    deleted(path, 0, 1)
    sealed = path.parent / "20261121" / "20261121T161500.000000Z-20261121T161500.000000Z-one-00000001.kvp.zst"
    sealed.parent.mkdir()
    path.rename(sealed)
    deleted(sealed, 1, 2)
    with ArchiveFile(sealed) as archive:
        assert remove_tombstones(Disk(), archive, lambda: [1]) == 1
        assert remove_tombstones(Disk(), archive, lambda: [1]) == 0
    assert found(sealed).events == {0, 2}


def test_nothing_is_shown_again_while_another_process_compacts(path: Path) -> None:
    deleted(path, 1)
    lock = held(Disk(), path.parent / f"one-00000001{SUFFIX}.lock")
    with lock, ArchiveFile(path) as archive, pytest.raises(DeedboxError, match="another process"):
        remove_tombstones(Disk(), archive, lambda: [1])


def undeleted(path: Path, *events: int) -> int:
    with ArchiveFile(path) as archive:
        return remove_tombstones(Disk(), archive, lambda: events)


def test_a_copy_with_the_older_lines_neither_brings_an_event_back_nor_hides_it_again(path: Path) -> None:
    side = path.parent / f"one-00000001{SUFFIX}"
    deleted(path, 0, 1)
    older = side.read_bytes()
    undeleted(path, 1)
    deleted(path, 2)
    newer = side.read_bytes()
    for joined in (older + newer, newer + older):
        side.write_bytes(joined)
        assert found(path).events == {0, 2}


def test_an_event_that_is_deleted_again_is_hidden_again(path: Path) -> None:
    """Also if the clock shows the time of the first deletion again."""
    for _ in range(3):
        assert deleted(path, 1) == 1
        assert found(path).events == {1}
        assert undeleted(path, 1) == 1
        assert undeleted(path, 1) == 0
        assert found(path).events == frozenset()
    assert deleted(path, 1) == 1
    side = path.parent / f"one-00000001{SUFFIX}"
    assert len(set(side.read_bytes().splitlines())) == 7


def test_a_deletion_that_another_file_cancels_is_written_again(path: Path) -> None:
    """A restored side file has the deletion, and the file above has its cancellation. Readers join both."""
    side = path.parent / f"one-00000001{SUFFIX}"
    deleted(path, 1)
    older = side.read_bytes()
    undeleted(path, 1)
    side.rename(path.parent.parent / side.name)
    side.write_bytes(older)
    assert found(path).events == frozenset()
    assert deleted(path, 1) == 1
    assert found(path).events == {1}
    assert deleted(path, 1) == 0
