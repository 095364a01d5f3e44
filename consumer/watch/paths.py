"""Questions about files that a rotation may rename or remove at any moment: a file that does not exist is a result, not an error."""

import errno
import os
import resource
import stat
from pathlib import Path

from consumer import log
from consumer.watch import log_events

# Descriptors that stay free: the state file and the connection to the broker need some.
RESERVED = 8


def names_of(path: Path) -> list[Path]:
    """The path and, if it is a symbolic link, the path of its target. Raises OSError."""
    if not path.is_symlink():
        return [path]
    target = Path(os.path.realpath(path))
    if target.parent == Path(os.path.realpath(path.parent)):
        target = path.with_name(target.name)  # so that a directory is listed under one name only
    return [path, target]


def directories_of(path: Path) -> set[Path]:
    """The existing directories in which a rotation may rename the file: that of the path, and that of its target."""
    try:
        return {name.parent for name in names_of(path) if name.parent.is_dir()}
    except OSError:
        return set()  # the check of the file reports the error


def open_file(path: Path) -> int | None:
    """Open a file; None if it does not exist or is not a regular file. It never waits for the writer of a pipe.

    Raises OSError, also if fewer than RESERVED descriptors would stay free.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and fd >= limit - RESERVED:  # the kernel returns the lowest free number
        os.close(fd)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def kind_of(path: Path) -> str | None:
    """The kind of file, for a message; None if it is a regular file or does not exist. Raises OSError."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(mode):
        return None
    return "a directory" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "no regular file"


def inode_of(path: Path) -> int | None:
    """The inode of the file; None if it does not exist. Raises OSError."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def size_of(path: Path) -> int:
    """The size of the file in bytes; 0 if it does not exist. Raises OSError."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def changed_ns(path: Path) -> int:
    """The time of the last write in nanoseconds since 1970; 0 if the file does not exist. Raises OSError."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def report(path: Path, error: OSError) -> None:
    """Log that a file could not be checked: the one that the error names, or else `path`."""
    log.emit(log_events.WATCH_FAILED, reason=f"{error.filename or path}: {error.strerror or error}")
