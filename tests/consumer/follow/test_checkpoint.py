import errno
import os
from pathlib import Path

import pytest

from consumer.archive.position import Position
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.follow.checkpoint import Checkpoint, Confirmed, StreamName, checkpoint_path, registered

ONE, TWO = StreamName(".", "one"), StreamName("sub", "two")
AT = Confirmed(Position("one", 3, 41), "0123456789abcdef")
AT_TWO = Confirmed(Position("two", 1, 0), "fedcba9876543210")


def opened(directory: Path, disk: Disk | None = None) -> Checkpoint:
    return Checkpoint(disk or Disk(), directory, "billing")


def test_a_stored_checkpoint_is_loaded(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path)
    assert (checkpoint.is_new, checkpoint.confirmed) == (True, {})
    checkpoint.store({ONE: AT})
    checkpoint.store({TWO: AT_TWO})
    checkpoint.close()
    again = opened(tmp_path)
    assert (again.is_new, again.confirmed) == (False, {ONE: AT, TWO: AT_TWO})
    again.close()


def test_one_process_at_a_time_holds_a_checkpoint(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(Fatal, match="used by another process") as raised:
        opened(tmp_path)
    assert raised.value.exit is Exit.INSTANCE
    first.close()
    opened(tmp_path).close()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b'{"format":1}', b'{"format":1,"streams":[{}]}', b"\xff", b'{"format":2,"streams":[]}',
        b'{"format":1,"streams":[{"directory":".","position":"one","fingerprint":"0"}]}',
    ],
)  # fmt: skip
def test_a_damaged_checkpoint_is_an_error_that_names_it_and_changes_nothing(tmp_path: Path, raw: bytes) -> None:
    path = checkpoint_path(tmp_path, "billing")
    path.parent.mkdir()
    path.write_bytes(raw)
    with pytest.raises(DeedboxError, match=str(path)):
        opened(tmp_path)
    assert path.read_bytes() == raw


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65])
def test_a_name_is_a_file_name_of_its_own(tmp_path: Path, name: str) -> None:
    with pytest.raises(Fatal, match="no name of a checkpoint"):
        Checkpoint(Disk(), tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_without_the_directory_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(DeedboxError, match="is not a directory"):
        opened(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_and_the_old_checkpoint_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    checkpoint = opened(tmp_path, disk)
    checkpoint.store({ONE: AT})
    before = checkpoint.path.read_bytes()

    def full(_path: Path, _raw: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "replace", full)
        with pytest.raises(DeedboxError, match="free space"):
            checkpoint.store({TWO: AT_TWO})
    assert checkpoint.path.read_bytes() == before
    checkpoint.store({TWO: AT_TWO})
    assert checkpoint.confirmed == {ONE: AT, TWO: AT_TWO}
    checkpoint.close()


def test_an_unchanged_checkpoint_is_not_written_again(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path)
    checkpoint.store({ONE: AT})
    inode = checkpoint.path.stat().st_ino
    checkpoint.store({ONE: AT})
    checkpoint.store({})
    assert checkpoint.path.stat().st_ino == inode
    checkpoint.close()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"format":1,"streams":[{"directory":"\xff","position":"one-00000001:0","fingerprint":"0"}]}',
        b'{"format":1,"streams":' + b"[" * 100_000,
        b'{"format":1,"streams":[]}' + b" " * (1 << 20),
    ],
)
def test_hostile_content_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr("consumer.follow.checkpoint.BYTES_MAX", 1 << 20)
    path = checkpoint_path(tmp_path, "billing")
    path.parent.mkdir()
    path.write_bytes(raw)
    with pytest.raises(DeedboxError, match="restore the file"):
        opened(tmp_path)


def test_only_a_regular_file_is_a_checkpoint(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, "billing")
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(DeedboxError, match="not a regular file"):
        opened(tmp_path)
    path.unlink()
    path.symlink_to(tmp_path / "not mounted")
    with pytest.raises(DeedboxError, match="symbolic link"):
        opened(tmp_path)
    assert path.is_symlink()


def test_all_checkpoints_of_a_directory_are_read_also_while_their_followers_run(tmp_path: Path) -> None:
    assert registered(tmp_path) == {}
    running = opened(tmp_path)
    running.store({ONE: AT})
    (tmp_path / "followers" / "billing.checkpoint.new").touch()
    assert registered(tmp_path) == {checkpoint_path(tmp_path, "billing"): {ONE: AT}}
    running.close()
    checkpoint_path(tmp_path, "other").write_bytes(b"{")
    with pytest.raises(DeedboxError, match=r"other\.checkpoint"):
        registered(tmp_path)
