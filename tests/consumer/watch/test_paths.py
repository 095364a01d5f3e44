"""Files that are created and removed, and paths that are no files."""

import errno
import os
import resource
from pathlib import Path

import pytest

from consumer.watch.paths import RESERVED, changed_ns, directories_of, inode_of, names_of, open_file, size_of


def test_a_file_that_does_not_exist_is_not_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert (open_file(path), inode_of(path), size_of(path), changed_ns(path)) == (None, None, 0, 0)
    path.write_bytes(b"one")
    os.utime(path, ns=(5, 7))
    assert (inode_of(path), size_of(path), changed_ns(path)) == (path.stat().st_ino, 3, 7)
    fd = open_file(path)
    assert fd is not None
    assert os.read(fd, 5) == b"one"
    os.close(fd)


def test_a_pipe_and_a_directory_are_not_opened_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    assert [open_file(path) for path in (tmp_path, tmp_path / "pipe", Path("/dev/null"))] == [None, None, None]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_also_has_the_name_of_its_target(tmp_path: Path) -> None:
    real, links = tmp_path / "real", tmp_path / "links"
    real.mkdir()
    links.mkdir()
    (links / "log").symlink_to(real / "app.log")
    (links / "same").symlink_to("other")
    (tmp_path / "again").symlink_to(links)
    assert names_of(real / "app.log") == [real / "app.log"]
    assert names_of(links / "log") == [links / "log", real / "app.log"]
    assert names_of(tmp_path / "again" / "same") == [tmp_path / "again" / "same", tmp_path / "again" / "other"]
    assert directories_of(links / "log") == {real, links}
    assert directories_of(tmp_path / "missing" / "log") == set()
    assert directories_of(tmp_path / ("x" * 300)) == set()


def test_files_leave_descriptors_for_the_state_and_the_broker(tmp_path: Path) -> None:
    """When files used all descriptors, no state could be stored, nothing was published, and no file was ever closed."""
    path = tmp_path / "log"
    path.touch()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + RESERVED + 5, hard))
    opened: list[int] = []
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EMFILE)) as caught:
            opened.extend(iter(lambda: open_file(path) or -1, -1))
        assert caught.value.filename == str(path)
        assert opened
        opened += [os.open(path, os.O_RDONLY) for _ in range(RESERVED)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in opened:
            os.close(fd)
