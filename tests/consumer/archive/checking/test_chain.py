"""Archives that were removed from a directory or replaced in it are reported. Through the command line."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.cli import maintain
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some
from tests.support.disk import ShadowDisk, fail_on

ROOT = Path(__file__).parents[4]


def verified(*paths: Path) -> tuple[int, str]:
    """Status and output of `deedbox verify`."""
    done = subprocess.run(
        [sys.executable, "-m", "consumer", "verify", *map(str, paths)], cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Three sealed archives of one instance, with its ledger and watermark."""
    one = archive_log(tmp_path, events_max=4)
    for first in range(0, 12, 2):
        one.append(some(first, 2))
    one.roll("stop")
    return find_archives([tmp_path])


def test_whole_archives_are_complete_and_the_limits_of_the_proof_are_named(three: list[Path], tmp_path: Path) -> None:
    status, report = verified(tmp_path)
    assert status == Exit.OK
    assert report.splitlines()[-1].startswith("complete: 3 archives, 12 events")
    assert report.splitlines()[-1].endswith("`deedbox verify --help` names the losses that no check can notice")
    assert "cannot notice that the oldest archives were removed" in str(maintain.verify.__doc__)


@pytest.mark.parametrize(
    "change", [Path.unlink, lambda path: path.rename(path.with_name("renamed"))], ids=["gone", "renamed"]
)
def test_a_missing_newest_archive_is_reported(three: list[Path], tmp_path: Path, change) -> None:
    change(three[-1])
    status, report = verified(tmp_path)
    assert status == Exit.DAMAGED
    assert "archive one-00000003 is missing: according to the ledger or the watermark, it holds events" in report


def test_an_instance_without_its_archives_is_reported(three: list[Path], tmp_path: Path) -> None:
    for path in three:
        path.unlink()
    status, report = verified(tmp_path)
    assert (status, "archive one-00000003 is missing" in report) == (Exit.DAMAGED, True)


def test_a_missing_oldest_archive_that_was_not_sealed_is_reported(tmp_path: Path) -> None:
    """Retention removes sealed archives from the front; an open one is not its business."""
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk)
    one.append(some(0, 2))
    fail_on(disk, "rename")
    one.roll("count")
    one.append(some(2, 2))
    oldest = tmp_path / "one-00000001.kvp.zst.open"
    assert verified(tmp_path)[0] == Exit.OK
    oldest.unlink()
    status, report = verified(tmp_path)
    assert status == Exit.DAMAGED
    assert report.count("archive one-00000001 is missing") == 1


def test_a_missing_newest_sealed_archive_is_reported_although_the_open_one_exists(
    three: list[Path], tmp_path: Path
) -> None:
    one = archive_log(tmp_path)
    one.append(some(20, 2))
    assert verified(tmp_path)[0] == Exit.OK
    for path in three:
        path.unlink()
    status, report = verified(tmp_path)
    assert (status, report.count("is missing")) == (Exit.DAMAGED, 1)
    assert "archive one-00000003 is missing: according to the ledger or the watermark, it holds events" in report


def test_a_newest_archive_that_was_exchanged_is_noticed(three: list[Path], tmp_path: Path) -> None:
    other = archive_log(tmp_path / "other", events_max=4)
    for first in range(0, 12, 2):
        other.append(some(first, 2))
    other.roll("stop")
    exchanged = find_archives([tmp_path / "other"])[-1]
    three[-1].unlink()
    shutil.copy(exchanged, three[-1])
    shutil.rmtree(tmp_path / "other")
    status, report = verified(tmp_path)
    assert (status, "is not the archive that was named in the ledger" in report) == (Exit.DAMAGED, True)


def test_an_archive_that_is_there_twice_is_noticed(three: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "20251122"
    copy.mkdir()
    shutil.copy(three[1], copy / three[1].name)
    status, report = verified(tmp_path)
    assert (status, "archive one-00000002 exists twice" in report) == (Exit.DAMAGED, True)


def test_a_copy_of_the_directory_is_no_fault(three: list[Path], tmp_path: Path) -> None:
    backup = tmp_path.with_name(tmp_path.name + "-backup")
    shutil.copytree(tmp_path, backup)
    assert verified(tmp_path, backup)[0] == Exit.OK


def test_missing_last_batches_of_an_open_archive_are_reported(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    receipts = [one.append(some(first, 2)) for first in (0, 2, 4)]
    assert one.writer is not None
    assert verified(tmp_path)[0] == Exit.OK
    with one.writer.path.open("r+b") as file:
        file.truncate(receipts[0].bytes)
    status, report = verified(tmp_path)
    assert (status, "4 events missing at the end: 6 committed" in report) == (Exit.DAMAGED, True)


def test_an_archive_that_was_recovered_late_and_then_removed_is_missed(tmp_path: Path) -> None:
    """The next archive was opened before it was sealed, and so names an older one as sealed before."""
    disk = ShadowDisk(tmp_path)
    one = archive_log(tmp_path, disk, events_max=2)
    for first in (0, 2, 4):
        one.append(some(first, 2))
        if first == 2:
            real, disk.rename = disk.rename, lambda *_: (_ for _ in ()).throw(OSError(5, "no"))  # type: ignore[method-assign]
            one.roll("count")
            one.append(some(10, 1))
            disk.rename = real  # type: ignore[method-assign]
    one.roll("stop")
    paths = find_archives([tmp_path])
    assert verified(tmp_path)[0] == Exit.OK
    paths[1].unlink()
    status, report = verified(tmp_path)
    assert (status, "archive one-00000002 is missing: it held events when this one was opened" in report) == (
        Exit.DAMAGED,
        True,
    )


def test_the_oldest_archives_may_be_removed(three: list[Path], tmp_path: Path) -> None:
    """Retention deletes from the front."""
    three[0].unlink()
    three[1].unlink()
    assert verified(tmp_path)[0] == Exit.OK


def test_archives_below_a_directory_of_archive_directories_belong_to_their_own_ledger(tmp_path: Path) -> None:
    """Instances of two hosts may have the same name."""
    for host in ("x", "y"):
        (tmp_path / host).mkdir()
        one = archive_log(tmp_path / host, events_max=1)
        for serial in range(3):
            one.append(some(serial, 1))
        one.roll("stop")
    assert verified(tmp_path)[0] == Exit.OK
