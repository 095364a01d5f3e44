import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.archive.checking.verify import verify
from consumer.archive.layout import Layout
from consumer.archive.listing import find_archives
from consumer.archive.rewriting.repack import repack
from consumer.archive.writing.recovery import recover
from consumer.disk.durable import Disk
from consumer.errors import Exit
from tests.support import archives
from tests.support.archive_logs import archive_log, some
from tests.support.disk import PowerCut, ShadowDisk


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    one = archive_log(tmp_path / "made")
    for serial in range(8):
        one.append(some(serial, 1))
    one.roll("test")
    return tmp_path / "made"


def copy(sealed: Path, target: Path) -> tuple[Path, ShadowDisk]:
    shutil.copytree(sealed, target)
    return target, ShadowDisk(target)


def steps(sealed: Path, target: Path) -> int:
    directory, disk = copy(sealed, target)
    assert [done.outcome for done in repack(disk, [directory])] == ["repacked"]
    return len(disk.calls)


@pytest.mark.parametrize("crash", [True, False], ids=["killed", "an error of the disk"])
def test_at_every_step_the_archive_is_there_and_whole(sealed: Path, tmp_path: Path, crash: bool) -> None:
    for step in range(1, steps(sealed, tmp_path / "count") + 1):
        directory, disk = copy(sealed, tmp_path / f"step-{step}")
        disk.fail_at, disk.crash, disk.error = step, crash, errno.EIO
        try:
            list(repack(disk, [directory]))
        except PowerCut:
            pass
        assert archives.events(directory) == some(0, 8), f"step {step}"
        assert [verdict.faults for verdict in verify([directory])] == [[]], f"step {step}"
        list(repack(ShadowDisk(directory), [directory]))
        names = [path.name for path in directory.rglob("*") if path.is_file()]
        assert [name for name in names if name.endswith((".compacting", ".uncompacted"))] == [], f"step {step}"
        assert archives.events(directory) == some(0, 8)
        assert len(find_archives([directory])) == 1


def test_an_archive_whose_sealing_did_not_end_is_not_rewritten_before_it_is_recovered(sealed: Path) -> None:
    """A power cut between the syncs of two directories leaves one file under both names: rewritten, it would be two archives."""
    (path,) = find_archives([sealed])
    both = sealed / "one-00000001.kvp.zst.open"
    both.hardlink_to(path)
    (done,) = repack(Disk(), [sealed])
    assert (done.outcome, str(both) in done.reason) == ("unfit", True)
    assert both.samefile(path)
    recover(Disk(), Layout(sealed), both)
    assert [done.outcome for done in repack(Disk(), [sealed])] == ["repacked"]
    assert [verdict.faults for verdict in verify([sealed])] == [[]]


class RacedDisk(Disk):
    """Before the new file is locked, another process removes it as a leftover, and begins a new file."""

    def create(self, path: Path) -> int:
        fd = super().create(path)
        path.unlink()
        self.other = super().create(path)
        self.append(self.other, b"half")
        return fd


def test_the_half_file_of_another_process_never_replaces_an_archive(sealed: Path) -> None:
    disk = RacedDisk()
    (done,) = repack(disk, [sealed])
    assert (done.outcome, done.reason) == ("unfit", "another process rewrites it: try again when that has ended")
    assert archives.events(sealed) == some(0, 8)
    fresh = next(sealed.rglob("*.compacting"))
    assert fresh.read_bytes() == b"half"
    disk.close(disk.other)
    assert [done.outcome for done in repack(Disk(), [sealed])] == ["repacked"]
    assert archives.events(sealed) == some(0, 8)


@pytest.mark.parametrize("command", [("compact",), ("compact", "--repack"), ("repair",)], ids=" ".join)
def test_an_archive_that_is_a_symbolic_link_is_not_replaced_by_a_file(
    sealed: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (archive,) = find_archives([sealed])
    here = tmp_path / "here"
    here.mkdir()
    link = here / archive.name
    link.symlink_to(archive)
    assert deedbox("delete", "id-1", str(here)).returncode == Exit.OK
    if command == ("repair",):
        damaged = bytearray(archive.read_bytes())
        damaged[len(damaged) // 2] ^= 0xFF
        archive.chmod(0o644)
        archive.write_bytes(damaged)
    before = archive.read_bytes()
    done = deedbox(*command, str(here))
    assert done.returncode == Exit.DAMAGED
    assert "is a symbolic link" in done.stdout
    assert link.is_symlink()
    assert archive.read_bytes() == before
    assert [path.name for path in here.iterdir() if ".kvp.zst" in path.name] == [link.name]


def deedbox(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consumer", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
