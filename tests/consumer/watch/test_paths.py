"""Files that come and go, and what is no file."""

import os
from pathlib import Path

from consumer.watch.paths import changed_ns, inode_of, open_file, size_of


def test_a_file_that_is_not_there_is_an_answer(tmp_path: Path) -> None:
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
