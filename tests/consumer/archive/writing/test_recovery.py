import errno
import os
import subprocess
from pathlib import Path

import pytest

from codec.event import Event
from consumer.archive.checking.verify import verify
from consumer.archive.layout import Layout
from consumer.archive.rewriting.repair import repair_sealed
from consumer.archive.writing import recovery
from consumer.archive.writing.finding import Abandoned, Finding, Outcome
from consumer.archive.writing.sealing import digest
from consumer.disk.durable import Disk
from tests.consumer.archive.reading.test_reader import TABLE, offsets
from tests.support import archives
from tests.support.archive_logs import archive_log, forget, some
from tests.support.disk import ShadowDisk


@pytest.fixture
def orphan(tmp_path: Path) -> Path:
    """An open archive of a run that was killed."""
    one = archive_log(tmp_path)
    for first, count in ((0, 3), (3, 1), (4, 4)):
        one.append(some(first, count))
    assert one.writer is not None
    one.writer.abandon()
    forget(tmp_path)
    return one.writer.path


def recover(path: Path, disk: Disk | None = None, committed: int | None = None) -> Finding:
    found = path.stat(follow_symlinks=False) if path.exists() else None
    file = (found.st_dev, found.st_ino) if found else None
    abandoned = None if committed is None else Abandoned(path, committed, file)
    return recovery.recover(disk or Disk(), Layout(path.parent), path, abandoned)


def faults(directory: Path) -> list[str]:
    return [str(fault) for verdict in verify([directory]) for fault in verdict.faults]


def ids(directory: Path) -> list[Event]:
    return archives.events(directory)


def test_an_orphan_is_sealed_as_it_is(orphan: Path) -> None:
    finding = recover(orphan)
    assert (finding.outcome, finding.events, finding.gaps) == ("sealed", 8, [])
    assert not orphan.exists()
    assert finding.sealed is not None
    assert finding.sealed.sha256 == digest(finding.sealed.path)
    assert finding.sealed.path.stat().st_mode & 0o222 == 0
    assert ids(orphan.parent) == some(0, 8)
    assert faults(orphan.parent) == []
    assert subprocess.run(["zstd", "-q", "-t", finding.sealed.path], check=False).returncode == 0


def test_a_torn_tail_is_cut_off_and_kept_aside(orphan: Path) -> None:
    raw = orphan.read_bytes()
    last = offsets(orphan)[-1]
    orphan.write_bytes(raw[:-5])
    finding = recover(orphan)
    assert [(gap.kind, gap.offset, gap.size) for gap in finding.gaps] == [("torn", last, len(raw) - 5 - last)]
    assert [path.read_bytes() for path in orphan.parent.glob("*.torn")] == [raw[last:-5]]
    assert ids(orphan.parent) == some(0, 4)
    assert faults(orphan.parent) == []


@pytest.mark.parametrize(("damage", "survivors", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_no_damage_stops_recovery_and_no_whole_batch_is_left_out(
    orphan: Path, damage, survivors: list[int], expected
) -> None:
    raw = orphan.read_bytes()
    changed = damage(raw, offsets(orphan))
    batches = [some(0, 3), some(3, 1), some(4, 4)]
    orphan.write_bytes(changed)
    finding = recover(orphan)
    kinds = [kind for kind, _ in expected]
    assert finding.outcome == ("empty" if not survivors else "repaired" if "damaged" in kinds else "sealed")
    assert [gap.kind for gap in finding.gaps] == kinds
    assert not list(orphan.parent.glob("*.open"))
    assert ids(orphan.parent) == [event for number in survivors for event in batches[number]]
    lost = [kind for kind in kinds if kind != "torn"]
    assert bool(faults(orphan.parent)) == bool(lost)
    if "damaged" in kinds:
        assert [path.read_bytes() for path in orphan.parent.glob("*.damaged")] == [changed]


def test_a_batch_that_was_never_synced_does_not_count(orphan: Path) -> None:
    """After a failed sync the kernel may show bytes that the disk does not have."""
    committed = offsets(orphan)[-1]
    finding = recover(orphan, committed=committed)
    assert [gap.reason for gap in finding.gaps] == ["written, but never synced"]
    assert ids(orphan.parent) == some(0, 4)


def test_an_archive_that_a_process_is_writing_is_not_changed(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 1))
    assert one.writer is not None
    assert recover(one.writer.path).outcome == "held"
    one.append(some(1, 1))
    one.roll("stop")
    assert ids(tmp_path) == some(0, 2)


def test_a_crash_between_link_and_unlink_is_finished(orphan: Path) -> None:
    sealed = recover(orphan).sealed
    assert sealed is not None
    orphan.hardlink_to(sealed.path)
    assert recover(orphan).outcome == "sealed"
    assert not orphan.exists()
    assert ids(orphan.parent) == some(0, 8)


def test_a_crash_between_footer_and_rename_is_finished(orphan: Path) -> None:
    sealed = recover(orphan).sealed
    assert sealed is not None
    sealed.path.rename(orphan)
    orphan.chmod(0o640)
    assert recover(orphan).outcome == "sealed"
    assert faults(orphan.parent) == []


def test_an_archive_left_read_only_by_the_crash_is_still_renamed(orphan: Path) -> None:
    sealed = recover(orphan).sealed
    assert sealed is not None
    sealed.path.rename(orphan)
    assert recover(orphan).outcome == "sealed"


@pytest.mark.parametrize("call", ["append", "sync", "rename", "truncate", "replace"])
def test_a_full_disk_defers_and_the_next_attempt_succeeds(orphan: Path, call: str) -> None:
    orphan.write_bytes(orphan.read_bytes()[:-5])
    disk = ShadowDisk(orphan.parent)
    step = disk.step

    def fail(name: str) -> None:
        step(name)
        if name == call:
            raise OSError(errno.ENOSPC, "No space left on device")

    disk.step = fail  # type: ignore[method-assign]
    assert recover(orphan, disk).outcome == "deferred"
    assert recover(orphan).outcome == "sealed"
    assert ids(orphan.parent) == some(0, 4)
    assert faults(orphan.parent) == []


def test_a_sealed_archive_that_was_damaged_is_rebuilt_and_kept(orphan: Path) -> None:
    sealed = recover(orphan).sealed
    assert sealed is not None
    at = offsets(sealed.path)[1]
    raw = bytearray(sealed.path.read_bytes())
    raw[at + 100] ^= 1
    sealed.path.chmod(0o640)
    sealed.path.write_bytes(raw)
    finding = repair_sealed(Disk(), sealed.path)
    assert finding.outcome == "repaired"
    assert ids(orphan.parent) == some(0, 3) + some(4, 4)
    assert sealed.path.with_name(sealed.path.name + ".damaged").read_bytes() == raw
    assert any("before a repair, " in fault for fault in faults(orphan.parent))
    assert repair_sealed(Disk(), sealed.path).outcome == "whole"


def test_a_sealed_archive_without_its_end_gets_a_new_one(orphan: Path) -> None:
    sealed = recover(orphan).sealed
    assert sealed is not None
    sealed.path.chmod(0o640)
    sealed.path.write_bytes(sealed.path.read_bytes()[:-100])
    assert repair_sealed(Disk(), sealed.path).outcome == "repaired"
    assert ids(orphan.parent) == some(0, 8)


def test_an_end_that_was_never_synced_is_written_again(orphan: Path) -> None:
    """The sync of the footer failed: bytes that the page cache shows may not be on the disk."""
    committed = orphan.stat().st_size
    sealed = recover(orphan).sealed
    assert sealed is not None
    sealed.path.rename(orphan)
    disk = ShadowDisk(orphan.parent)
    assert recover(orphan, disk, committed).outcome == "sealed"
    assert disk.calls.index("truncate") < disk.calls.index("sync") < disk.calls.index("rename")
    assert faults(orphan.parent) == []


def test_nothing_is_renamed_before_it_is_synced(orphan: Path) -> None:
    sealed = recover(orphan).sealed
    assert sealed is not None
    sealed.path.rename(orphan)
    disk = ShadowDisk(orphan.parent)
    recover(orphan, disk)
    assert disk.calls.index("sync") < disk.calls.index("rename")


def test_an_archive_of_a_newer_deedbox_is_not_changed(orphan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a rolling upgrade the old instance must not set aside an archive of the newer version."""
    from codec import archive, parts
    from codec.archive import Head

    monkeypatch.setattr(parts, "VERSION", 2)
    raw = archive.encode_head(Head("one", 1, 0, ""))
    monkeypatch.undo()
    orphan.write_bytes(raw)
    finding = recover(orphan)
    assert (finding.outcome, "format version 2" in finding.reason) == ("deferred", True)
    assert orphan.read_bytes() == raw


def test_a_damaged_last_batch_is_not_reported_as_complete(orphan: Path) -> None:
    """A whole frame with a wrong checksum may have been acknowledged: a torn one is cut short."""
    raw = bytearray(orphan.read_bytes())
    raw[-3] ^= 1
    orphan.write_bytes(raw)
    recover(orphan)
    (fault,) = faults(orphan.parent)
    assert "before a repair, an unknown number of events lost from event" in fault


def test_bytes_that_were_kept_are_never_replaced_by_others(orphan: Path) -> None:
    raw = orphan.read_bytes()
    last = offsets(orphan)[-1]
    aside = orphan.with_name(f"{orphan.name}.{last}.torn")
    aside.write_bytes(b"kept before")
    orphan.write_bytes(raw[:-5])
    recover(orphan)
    assert aside.read_bytes() == b"kept before"
    assert aside.with_name(aside.name + ".2").read_bytes() == raw[last:-5]


def test_a_head_with_another_name_writes_nothing_outside_the_directory(orphan: Path) -> None:
    from codec import archive
    from codec.archive import Head
    from codec.parts import checksum_of

    raw, at = orphan.read_bytes(), offsets(orphan)
    head = archive.encode_head(Head("../../evil/x", -5, 1 << 62, ""))
    orphan.write_bytes(head + raw[at[0] :])
    assert checksum_of(head) != checksum_of(raw[: at[0]])
    finding = recover(orphan)
    assert finding.sealed is not None
    assert finding.sealed.path.resolve().is_relative_to(orphan.parent.resolve())
    assert ids(orphan.parent) == some(0, 8)
    assert any("the head names" in fault for fault in faults(orphan.parent))


def test_a_copy_without_name_and_head_is_deferred(orphan: Path) -> None:
    copy = orphan.with_name("copy.zst")
    copy.write_bytes(b"X" + orphan.read_bytes()[1:])
    finding = repair_sealed(Disk(), copy)
    assert (finding.outcome, "names an instance" in finding.reason) == ("deferred", True)


def test_a_seek_table_that_does_not_fit_is_repaired(orphan: Path) -> None:
    sealed = recover(orphan).sealed
    assert sealed is not None
    raw = bytearray(sealed.path.read_bytes())
    raw[-20] ^= 1
    sealed.path.chmod(0o640)
    sealed.path.write_bytes(raw)
    assert faults(orphan.parent)
    assert repair_sealed(Disk(), sealed.path).outcome == "repaired"
    assert ids(orphan.parent) == some(0, 8)


def test_a_link_with_the_name_of_an_open_archive_is_not_followed(tmp_path: Path) -> None:
    """Recovery copied the content of the foreign file to `.torn` and truncated it."""
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"a secret")
    directory = tmp_path / "archive"
    directory.mkdir()
    link = directory / "one-00000001.kvp.zst.open"
    link.symlink_to(foreign)
    finding = recover(link)
    assert (finding.outcome, "symbolic link" in finding.reason) == ("deferred", True)
    assert [path.name for path in directory.iterdir()] == [link.name]
    assert foreign.read_bytes() == b"a secret"


def test_a_link_under_the_sealed_name_does_not_cost_the_archive(orphan: Path) -> None:
    """Recovery treated it as a second name of the archive, and removed the archive."""
    sealed = recover(orphan).sealed
    assert sealed is not None
    sealed.path.rename(orphan)
    sealed.path.symlink_to(orphan)
    assert recover(orphan).outcome == "deferred"
    assert ids(orphan.parent) == some(0, 8) * 2  # under both names
    sealed.path.unlink()
    assert recover(orphan).outcome == "sealed"
    assert ids(orphan.parent) == some(0, 8)


def test_a_file_that_replaced_the_archive_is_not_cut_at_its_size(orphan: Path) -> None:
    """How much of it is durable is unknown: it is recovered as any other orphan."""
    abandoned = Abandoned(orphan, offsets(orphan)[-1], (0, 0))
    recovery.recover(Disk(), Layout(orphan.parent), orphan, abandoned)
    assert ids(orphan.parent) == some(0, 8)
    assert not list(orphan.parent.glob("*.torn"))


def test_an_archive_that_has_its_sealed_name_already_is_not_cut(orphan: Path) -> None:
    """A link(2) that succeeded before an unlink(2) that failed."""
    committed = orphan.stat().st_size
    sealed = recover(orphan).sealed
    assert sealed is not None
    orphan.hardlink_to(sealed.path)
    disk = ShadowDisk(orphan.parent)
    assert recover(orphan, disk, committed).outcome == "sealed"
    assert "truncate" not in disk.calls
    assert faults(orphan.parent) == []


def test_a_torn_end_that_is_sparse_is_kept_sparse_and_equal(orphan: Path) -> None:
    size = orphan.stat().st_size
    with orphan.open("r+b") as file:
        file.seek(3 << 20, 1)
        file.write(b"one")
        file.truncate(size + (9 << 20))
    torn = orphan.read_bytes()[size:]
    recover(orphan)
    (aside,) = orphan.parent.glob("*.torn")
    assert aside.read_bytes() == torn
    assert aside.stat().st_blocks * 512 < 2 << 20


def test_acknowledged_events_in_a_torn_end_are_a_gap_of_the_finding(tmp_path: Path) -> None:
    """The log reported no gap, although the watermark counted the events."""
    one = archive_log(tmp_path)
    one.append(some(0, 3))
    one.append(some(3, 1))
    assert one.writer is not None
    path = one.writer.path
    one.writer.abandon()
    os.truncate(path, path.stat().st_size - 50)
    finding = recovery.recover(Disk(), Layout(tmp_path), path)
    assert [(gap.first_event, gap.events) for gap in finding.lost] == [(3, 1)]


def test_acknowledged_events_of_an_archive_without_a_whole_batch_are_a_gap_of_the_finding(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 3))
    assert one.writer is not None
    path = one.writer.path
    one.writer.abandon()
    os.truncate(path, path.stat().st_size - 50)
    finding = recovery.recover(Disk(), Layout(tmp_path), path)
    assert finding.outcome is Outcome.EMPTY
    assert [(gap.first_event, gap.events) for gap in finding.lost] == [(0, 3)]
