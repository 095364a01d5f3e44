import errno
import os
from pathlib import Path

import pytest

from consumer.archive.checking.verify import verify
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import add_tombstones, is_removed
from consumer.archive.rewriting.compact import compact
from consumer.archive.rewriting.repair import repair_sealed
from consumer.disk.durable import Disk, held
from tests.support import archives
from tests.support.archive_logs import archive_log, some

NOW = "2026-11-21T16:15:00.000000Z"


def delete(directory: Path, *events: int, number: int = 0) -> None:
    with ArchiveFile(find_archives([directory])[number]) as archive:
        add_tombstones(Disk(), archive, events, "x", NOW)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two sealed archives of three batches, the second chained to the first, one event of the first deleted."""
    one = archive_log(tmp_path / "archive")
    for at in range(0, 60, 10):
        one.append(some(at, 10))
        if at == 20:
            one.roll("test")
    one.roll("test")
    delete(tmp_path / "archive", 12)
    return tmp_path / "archive"


def test_a_compacted_archive_holds_everything_else_in_its_place(directory: Path) -> None:
    before = archives.events(directory)
    (done,) = compact(Disk(), [directory])
    assert (done.outcome, done.events) == ("compacted", 1)
    after = archives.events(directory)
    assert [found for found in after if not is_removed(found)] == [found for found in before if found.id != "id-12"]
    assert is_removed(after[12])
    assert b'"serial":12,' not in b"".join(
        piece for path in find_archives([directory]) for batch in archives.batches(path) for piece in batch.records()
    )


def test_verify_knows_a_deletion_from_a_loss(directory: Path) -> None:
    assert [(one.deleted, one.removed, one.faults) for one in verify([directory])] == [(1, 0, []), (0, 0, [])]
    list(compact(Disk(), [directory]))
    assert [(one.deleted, one.removed, one.faults) for one in verify([directory])] == [(0, 1, []), (0, 0, [])]
    assert list(compact(Disk(), [directory])) == []


def test_a_second_deletion_counts_on(directory: Path) -> None:
    list(compact(Disk(), [directory]))
    delete(directory, 0)
    list(compact(Disk(), [directory]))
    assert [(one.removed, one.faults) for one in verify([directory])] == [(2, []), (0, [])]


def test_an_open_archive_waits_for_its_seal(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 20))
    delete(tmp_path, 0)
    assert [done.outcome for done in compact(Disk(), [tmp_path])] == ["open"]
    one.roll("test")
    assert [done.outcome for done in compact(Disk(), [tmp_path])] == ["compacted"]


def test_a_damaged_archive_is_repaired_first(directory: Path) -> None:
    first = find_archives([directory])[0]
    first.chmod(0o600)
    raw = bytearray(first.read_bytes())
    raw[400] ^= 1
    first.write_bytes(raw)
    assert [done.outcome for done in compact(Disk(), [directory])] == ["damaged"]
    assert first.read_bytes() == raw


def test_a_tombstone_of_an_event_that_is_not_there_shows(directory: Path) -> None:
    delete(directory, 199)
    assert "event 199" in next(iter(verify([directory]))).faults[0].reason


def test_an_archive_that_another_process_holds_is_busy_and_the_others_are_compacted(directory: Path) -> None:
    """It ended the command before the others were reached, or was called damaged."""
    delete(directory, 3, number=1)
    first, second = find_archives([directory])
    raw = first.read_bytes()
    with held(Disk(), first.parent / "one-00000001.deleted.lock"):
        done = list(compact(Disk(), [directory]))
    assert [(one.path, one.outcome) for one in done] == [(first, "busy"), (second, "compacted")]
    with held(Disk(), first.with_name(first.name + ".compacting")):  # as a process that rewrites it holds its new file
        (again,) = compact(Disk(), [directory])
    assert (again.outcome, "another process rewrites it" in again.reason) == ("busy", True)
    assert first.read_bytes() == raw


class FullOnce(Disk):
    """Has no space for the first append, as a disk that another process fills and empties."""

    full = True

    def append(self, fd: int, raw: bytes) -> None:
        if self.full:
            self.full = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().append(fd, raw)


def test_an_archive_for_which_the_disk_is_too_full_is_named_and_the_others_are_compacted(directory: Path) -> None:
    """The error named no file and ended the command."""
    delete(directory, 3, number=1)
    first, second = find_archives([directory])
    raw = first.read_bytes()
    done = list(compact(FullOnce(), [directory]))
    assert [(one.path, one.outcome) for one in done] == [(first, "failed"), (second, "compacted")]
    assert done[0].reason == "No space left on device; it is as it was"
    assert first.read_bytes() == raw


def test_a_crash_at_any_step_leaves_a_whole_archive(directory: Path) -> None:
    """Either with the event and its tombstone, or without it; and compacting again ends it."""
    steps = 0
    while True:
        disk = Failing(after=steps)
        try:
            outcomes = [one.outcome for one in compact(disk, [directory])]
        except OSError:
            outcomes = ["failed"]
        if outcomes == ["failed"]:
            verdicts = list(verify([directory]))
            assert [one.faults for one in verdicts] == [[], []]
            assert verdicts[0].deleted + verdicts[0].removed >= 1
            steps += 1
            continue
        assert outcomes in (["compacted"], [])
        break
    assert steps > 6
    names = [path.name for path in directory.rglob("*") if path.is_file() and "one-00000001" in path.name]
    assert sorted(names) == sorted(
        [find_archives([directory])[0].name, "one-00000001.deleted", "one-00000001.deleted.lock"]
    )


def test_a_copy_is_compacted_too_and_another_archive_of_the_name_is_left_alone(directory: Path) -> None:
    first = find_archives([directory])[0]
    copy = first.parent / "copy" / first.name
    copy.parent.mkdir()
    copy.write_bytes(first.read_bytes())
    other = archive_log(first.parent / "other")
    other.append(some(500, 20))
    other.roll("test")
    done = list(compact(Disk(), [directory]))
    assert sorted(one.path for one in done) == sorted([first, copy])
    assert len([found for found in archives.events(first.parent / "other") if is_removed(found)]) == 0


def test_a_repaired_archive_can_be_compacted(directory: Path) -> None:
    first = find_archives([directory])[0]
    first.chmod(0o600)
    raw = bytearray(first.read_bytes())
    raw[400] ^= 1
    first.write_bytes(raw)
    repair_sealed(Disk(), first)
    done = list(compact(Disk(), [directory]))
    assert [one.outcome for one in done] == ["compacted", "aside"]
    assert done[1].path.name.endswith(".damaged")


def test_a_path_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    assert [one.outcome for one in compact(Disk(), [tmp_path / "missing"])] == ["unreadable"]


class Failing(Disk):
    """Ends after this number of steps."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def _step(self) -> None:
        if self.left == 0:
            raise OSError(5, "the disk is gone")
        self.left -= 1

    def create(self, path: Path) -> int:
        self._step()
        return super().create(path)

    def append(self, fd: int, raw: bytes) -> None:
        self._step()
        super().append(fd, raw)

    def sync(self, fd: int) -> None:
        self._step()
        super().sync(fd)

    def make_read_only(self, fd: int) -> None:
        self._step()
        super().make_read_only(fd)

    def replace_keeping(self, path: Path, fresh: Path, aside: Path) -> None:
        self._step()
        super().replace_keeping(path, fresh, aside)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)
