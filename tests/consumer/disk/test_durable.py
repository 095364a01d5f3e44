import errno
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from consumer.disk import durable
from consumer.disk.durable import Disk, held, is_held, read_regular


def test_a_new_file_is_locked_and_never_overwrites(tmp_path: Path) -> None:
    disk = Disk()
    fd = disk.create(tmp_path / "a")
    assert is_held(tmp_path / "a")
    with pytest.raises(FileExistsError):
        disk.create(tmp_path / "a")
    disk.close(fd)
    assert not is_held(tmp_path / "a")


def test_rename_never_replaces(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError):
        Disk().rename(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "b"
    Disk().rename(tmp_path / "a", tmp_path / "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "c"]


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, raw: real(fd, bytes(raw)[:3]))
    fd = Disk().create(tmp_path / "a")
    Disk().append(fd, b"0123456789")
    Disk().close(fd)
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_held_lock_is_not_acquired_twice(tmp_path: Path) -> None:
    with held(Disk(), tmp_path / "lock") as first, held(Disk(), tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with held(Disk(), tmp_path / "lock") as again:
        assert again


def test_replace_leaves_no_other_file(tmp_path: Path) -> None:
    Disk().replace(tmp_path / "a", b"old")
    Disk().replace(tmp_path / "a", b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]


def test_replace_keeping_keeps_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "fresh").write_text("new")
    Disk().replace_keeping(tmp_path / "a", tmp_path / "fresh", tmp_path / "aside")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "new", "aside": "old"}


@pytest.mark.parametrize("replace", [False, True])
def test_a_published_file_has_its_attributes_and_replaces_only_on_request(tmp_path: Path, replace: bool) -> None:
    disk = Disk()
    fd = disk.create(tmp_path / "fresh")
    os.setxattr(fd, "user.deedbox.sha256", b"ab")
    disk.append(fd, b"new")
    (tmp_path / "a").write_text("old")
    with nullcontext() if replace else pytest.raises(FileExistsError):
        disk.publish(fd, tmp_path / "fresh", tmp_path / "a", replace)
    assert (tmp_path / "a").read_text() == ("new" if replace else "old")
    disk.publish(fd, tmp_path / ("a" if replace else "fresh"), tmp_path / "b", replace=False)
    disk.close(fd)
    assert (os.getxattr(tmp_path / "b", "user.deedbox.sha256"), (tmp_path / "b").read_text()) == (b"ab", "new")


def test_a_link_is_a_second_name_and_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    Disk().link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").samefile(tmp_path / "a")
    (tmp_path / "c").write_text("other")
    with pytest.raises(FileExistsError):
        Disk().link(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_text() == "other"


def test_directories_are_made_with_their_parents(tmp_path: Path) -> None:
    Disk().make_directory(tmp_path / "a" / "b")
    Disk().make_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_free_space_is_a_number_of_bytes(tmp_path: Path) -> None:
    assert Disk().free_bytes(tmp_path) > 1 << 20


def test_a_file_that_cannot_be_locked_is_not_left_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(durable.locks.fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks available"):
        Disk().create(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="No locks available"):
        Disk().acquire(tmp_path / "lock")


def test_a_read_only_file_can_be_opened_for_recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everything, so the refusal is played."""
    path = tmp_path / "a"
    path.write_text("a")
    path.chmod(0o440)
    real = os.open

    def as_anybody(found: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_ACCMODE == os.O_RDWR and not found.stat().st_mode & 0o200:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(found, flags, mode)

    monkeypatch.setattr(os, "open", as_anybody)
    disk = Disk()
    fd = disk.open(path)
    disk.append(fd, b"b")
    disk.sync(fd)
    disk.close(fd)
    disk.close(fd)
    assert path.read_text() == "ab"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A file outside the archives, to which every name in the directory is a link."""
    path = tmp_path / "foreign"
    path.write_bytes(b"of another program")
    path.chmod(0o440)
    return path


ENTRANCES = {
    "open": lambda path: Disk().open(path),
    "acquire": lambda path: Disk().acquire(path),
    "create": lambda path: Disk().create(path),
    "overwrite": lambda path: Disk().overwrite(path, b"own"),
    "sync_path": lambda path: Disk().sync_path(path),
    "is_held": is_held,
    "read_regular": read_regular,
}


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_no_link_is_followed(tmp_path: Path, foreign: Path, entrance: str) -> None:
    (tmp_path / "own").symlink_to(foreign)
    with pytest.raises(OSError, match=r"symbolic link|File exists"):
        ENTRANCES[entrance](tmp_path / "own")
    assert (foreign.read_bytes(), foreign.stat().st_mode & 0o777) == (b"of another program", 0o440)


@pytest.mark.parametrize("entrance", [name for name in ENTRANCES if name != "create"])
def test_a_fifo_with_the_name_of_a_file_is_refused_without_waiting(tmp_path: Path, entrance: str) -> None:
    os.mkfifo(tmp_path / "own")
    with pytest.raises(OSError, match=r"not a regular file|No such device"):
        ENTRANCES[entrance](tmp_path / "own")


@pytest.mark.parametrize("leftover", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_file_is_not_replaced_through_a_link(tmp_path: Path, foreign: Path, leftover) -> None:
    leftover(foreign, tmp_path / "own.new")
    Disk().replace(tmp_path / "own", b"new")
    assert foreign.read_bytes() == b"of another program"
    assert (tmp_path / "own").read_bytes() == b"new"
