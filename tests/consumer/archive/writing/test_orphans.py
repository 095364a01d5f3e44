import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.archive import naming
from consumer.archive.checking.verify import verify
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import open_archive
from consumer.archive.reading.tombstones import add_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.archive.rewriting.repack import repack
from consumer.archive.writing import orphans
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.archive.writing.sealing import digest
from consumer.disk.durable import Disk
from tests.consumer.archive.reading.test_reader import offsets
from tests.support import archives
from tests.support.archive_logs import archive_log, some
from tests.support.disk import ShadowDisk


def faults(directory: Path) -> list[str]:
    return [str(fault) for verdict in verify([directory]) for fault in verdict.faults]


def test_archives_of_stopped_instances_are_recovered_and_those_of_running_ones_are_not(tmp_path: Path) -> None:
    """A free lock of the instance means that it is dead; its ledger then knows its last archive."""
    dead, alive = archive_log(tmp_path, instance="dead"), archive_log(tmp_path, instance="alive")
    for one in (dead, alive):
        one.append(some(0, 1))
        assert one.writer is not None
        one.writer.abandon()
    lock = Disk().acquire(naming.lock_path(tmp_path, "alive"))
    findings = list(orphans.recover_others(Disk(), Layout(tmp_path), own="me"))
    assert [finding.path.name for finding in findings] == ["dead-00000001.kvp.zst.open"]
    previous = Ledger(Disk(), tmp_path, "dead").state.previous
    assert previous is not None
    assert previous.sha256 == digest(find_archives([tmp_path / "20251121"])[0])
    assert lock is not None
    Disk().close(lock)


def test_the_sequence_of_an_empty_orphan_is_not_used_again(tmp_path: Path) -> None:
    (tmp_path / "one-00000041.kvp.zst.open").touch()
    ledger = Ledger(Disk(), tmp_path, "one")
    assert [finding.outcome for finding in orphans.recover_own(Disk(), Layout(tmp_path), ledger, "one")] == ["empty"]
    assert Ledger(Disk(), tmp_path, "one").state.sequence == 41


def test_a_ledger_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    for serial in range(3):
        one = archive_log(tmp_path)
        one.append(some(serial, 1))
        assert one.writer is not None
        one.writer.abandon()
    disk = ShadowDisk(tmp_path)
    disk.replace = lambda path, raw: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full"))  # type: ignore[method-assign]
    findings = orphans.recover_own(disk, Layout(tmp_path), Ledger(disk, tmp_path, "one"), "one")
    assert [finding.outcome for finding in findings] == ["sealed"] * 3


def seal_without_a_note(one: ArchiveLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends after the rename of a seal and before its record in the ledger."""
    with monkeypatch.context() as patched:
        patched.setattr(one.disk, "replace", _refuse)
        one.roll("test")


def _refuse(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_an_archive_that_was_repacked_before_its_seal_was_noted_is_noted_as_it_was_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest of the repacked file was noted: after `compact`, `verify` reported the archive as damaged from then on."""
    one = archive_log(tmp_path)
    for first in range(0, 60, 3):
        one.append(some(first, 3))
    seal_without_a_note(one, monkeypatch)
    (path,) = find_archives([tmp_path])
    assert [done.outcome for done in repack(Disk(), [path])] == ["repacked"]
    list(orphans.recover_own(Disk(), Layout(tmp_path), Ledger(Disk(), tmp_path, "one"), "one"))
    other = archive_log(tmp_path)
    other.append(some(100, 3))
    other.roll("test")
    with open_archive(path) as archive:
        add_tombstones(Disk(), archive, {5}, "id-5", "2026-11-21T16:15:00.000000Z")
    assert [done.outcome for done in compact(Disk(), [path])] == ["compacted"]
    assert faults(tmp_path) == []


class FailsOnce(Disk):
    """Refuses one append, and while it is `broken` opens no file that is there."""

    broken = False
    refuses = False

    def append(self, fd: int, raw: bytes) -> None:
        if self.refuses:
            self.refuses = False
            _refuse()
        super().append(fd, raw)

    def open(self, path: Path) -> int:
        if self.broken:
            _refuse()
        return super().open(path)


@pytest.mark.parametrize("killed", [False, True])
def test_events_that_are_cut_off_an_archive_that_waits_for_recovery_are_missed(tmp_path: Path, killed: bool) -> None:
    """The watermark counts the events of the newest archive only; `verify` reported everything as complete."""
    disk = FailsOnce()
    one = archive_log(tmp_path, disk)
    for first in range(0, 15, 3):
        one.append(some(first, 3))
    assert one.writer is not None
    path = one.writer.path
    disk.broken = disk.refuses = True
    one.append(some(15, 3))
    os.truncate(path, offsets(path)[2])  # another process cuts off three batches
    disk.broken = False
    assert any("9 events missing" in fault for fault in faults(tmp_path))
    if killed:
        assert one.writer is not None
        one.writer.abandon()
        list(orphans.recover_own(disk, Layout(tmp_path), Ledger(disk, tmp_path, "one"), "one"))
    else:
        one.recover_abandoned()
        one.roll("test")
    assert not list(tmp_path.glob("*.open"))
    assert any("9 events" in fault for fault in faults(tmp_path))
    assert len(archives.events(tmp_path)) == 9


def test_the_directory_is_walked_once_for_all_stopped_instances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk for each of them made the start of another instance slow: 14 s with 100 of them and 9,000 archives."""
    for number in range(20):
        one = archive_log(tmp_path, instance=f"dead-{number}")
        one.append(some(0, 1))
        assert one.writer is not None
        one.writer.abandon()
    walks = 0
    rglob = Path.rglob

    def counted(self: Path, pattern: str) -> Iterator[Path]:
        nonlocal walks
        walks += 1
        yield from rglob(self, pattern)

    monkeypatch.setattr(Path, "rglob", counted)
    findings = list(orphans.recover_others(Disk(), Layout(tmp_path), own="me"))
    assert [finding.outcome for finding in findings] == ["sealed"] * 20
    assert walks == 1
