import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.archive.listing import id_of
from consumer.archive.naming import ArchiveId
from consumer.archive.writing.sealing import digest
from consumer.disk.durable import Disk, held
from consumer.errors import DeedboxError
from consumer.ship.steps import placing
from tests.support.mounts import small_ext4
from tests.support.steps import sealed

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a real file system takes root")
DISK = Disk()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def path(root: Path) -> Path:
    return sealed(root, 1)[0]


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "mount").mkdir()
    with small_ext4(tmp_path / "mount") as mount:
        yield mount


def own_id(path: Path) -> ArchiveId:
    id = id_of(path)
    assert id is not None
    return id


def test_a_link_is_a_second_name_and_can_be_made_again(tmp_path: Path, root: Path, path: Path) -> None:
    for _ in range(2):
        target = placing.link(DISK, root, path, own_id(path), tmp_path / "new" / "deep")
    assert target == tmp_path / "new" / "deep" / path.name
    assert target.samefile(path)


def test_a_link_replaces_no_other_file(tmp_path: Path, root: Path, path: Path) -> None:
    (tmp_path / "new").mkdir()
    target = tmp_path / "new" / path.name
    target.write_bytes(b"other")
    with pytest.raises(DeedboxError, match="a file with other content is there"):
        placing.link(DISK, root, path, own_id(path), tmp_path / "new")
    assert target.read_bytes() == b"other"


@NEEDS_ROOT
def test_a_link_to_another_file_system_says_what_to_do(root: Path, path: Path, other_disk: Path) -> None:
    with pytest.raises(DeedboxError, match="another file system, which no hard link can reach; name a directory"):
        placing.link(DISK, root, path, own_id(path), other_disk)


def test_a_move_can_be_repeated_and_never_replaces(tmp_path: Path, path: Path) -> None:
    """Shoebox overwrote a file of the same name: of three archives, none was left."""
    sha256, raw = digest(path), path.read_bytes()
    target = tmp_path / "done" / path.name
    for _ in range(2):
        placing.move(DISK, path, target, sha256)
    assert (target.read_bytes(), path.exists()) == (raw, False)
    path.write_bytes(b"another archive of this name")
    with pytest.raises(DeedboxError, match="a file with other content is there"):
        placing.move(DISK, path, target, digest(path))
    assert target.read_bytes() == raw
    assert path.read_bytes() == b"another archive of this name"


def test_a_move_of_which_both_files_are_there_ends_with_one(tmp_path: Path, path: Path) -> None:
    """A run was killed after the copy had its name and before the original was removed."""
    target = tmp_path / "done" / path.name
    target.parent.mkdir()
    target.write_bytes(path.read_bytes())
    placing.move(DISK, path, target, digest(path))
    assert (target.exists(), path.exists()) == (True, False)


def test_an_archive_that_is_at_neither_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeedboxError, match="is gone"):
        placing.move(DISK, tmp_path / "gone", tmp_path / "target", "00")


@NEEDS_ROOT
def test_a_move_to_another_file_system_is_compared_before_the_original_goes(path: Path, other_disk: Path) -> None:
    raw, mtime = path.read_bytes(), path.stat().st_mtime_ns
    target = other_disk / "done" / path.name
    target.parent.mkdir()
    target.with_name(target.name + placing.MOVING_SUFFIX).write_bytes(b"left by a crash")
    placing.move(DISK, path, target, digest(path))
    assert (target.read_bytes(), path.exists()) == (raw, False)
    assert (target.stat().st_mtime_ns, target.stat().st_mode & 0o777) == (mtime, 0o440)
    assert os.listdir(target.parent) == [path.name]


@NEEDS_ROOT
def test_a_copy_that_differs_leaves_the_original(path: Path, other_disk: Path) -> None:
    raw = path.read_bytes()

    class Flipping(Disk):
        def append(self, fd: int, raw: bytes) -> None:
            super().append(fd, raw[:-1] + b"?")

    with pytest.raises(DeedboxError, match="the copy differs"):
        placing.move(Flipping(), path, other_disk / path.name, digest(path))
    assert path.read_bytes() == raw
    assert [name for name in os.listdir(other_disk) if name != "lost+found"] == []


@NEEDS_ROOT
def test_a_move_to_a_full_file_system_leaves_the_original(path: Path, other_disk: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(os.urandom(20 << 20))
    with pytest.raises(OSError, match="No space left"):
        placing.move(DISK, path, other_disk / path.name, digest(path))
    assert path.stat().st_size == 20 << 20
    assert [name for name in os.listdir(other_disk) if name != "lost+found"] == []


def test_lines_of_side_files_are_joined_and_none_is_lost(tmp_path: Path, root: Path, path: Path) -> None:
    archive, target = own_id(path), tmp_path / "done"
    target.mkdir()
    (target / f"{archive}.deleted").write_bytes(b"known\n")
    (root / f"{archive}.deleted").write_bytes(b"above\n")
    (path.parent / f"{archive}.deleted").write_bytes(b"known\nbeside\n")
    for _ in range(2):
        placing.copy_side_files(DISK, root, path, archive, target)
    assert (target / f"{archive}.deleted").read_bytes() == b"known\nbeside\nabove\n"


def test_while_another_process_deletes_events_the_archive_stays(path: Path) -> None:
    """Otherwise an event that was deleted meanwhile would be shown at the new place."""
    lock = path.parent / f"{own_id(path)}.deleted.lock"
    with (
        held(DISK, lock),
        pytest.raises(DeedboxError, match="another process deletes"),
        placing.deletions_locked(DISK, path, own_id(path)),
    ):
        pass
