"""Names of files that a rotation may rename or remove at any moment: a file that is not there is an answer, and no error."""

import os
import stat
from pathlib import Path


def open_file(path: Path) -> int | None:
    """Open a file; None if it does not exist or is no regular file. A pipe is not waited for. Raises OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def kind_of(path: Path) -> str | None:
    """What has this name, if it is no regular file; None if it is one, or if there is nothing. Raises OSError."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(mode):
        return None
    return "a directory" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "no regular file"


def inode_of(path: Path) -> int | None:
    """The inode of the file that has this name; None if there is none. Raises OSError."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def size_of(path: Path) -> int:
    """Its size in bytes; 0 if there is none. Raises OSError."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def changed_ns(path: Path) -> int:
    """When it was written last, in nanoseconds; 0 if there is none. Raises OSError."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
