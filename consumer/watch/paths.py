"""Names of files that a rotation may rename or remove at any moment: a file that is not there is an answer, and no error."""

import errno
import os
import resource
import stat
from pathlib import Path

from consumer import log
from consumer.watch import log_events

# Descriptors that are left: without one for the state or the broker, no file would ever be read to its end.
RESERVED = 8


def names_of(path: Path) -> list[Path]:
    """The path, and the name of its target if it is a symbolic link. Raises OSError."""
    if not path.is_symlink():
        return [path]
    target = Path(os.path.realpath(path))
    if target.parent == Path(os.path.realpath(path.parent)):
        target = path.with_name(target.name)  # one directory has one name
    return [path, target]


def directories_of(path: Path) -> set[Path]:
    """The directories in which a rotation may rename the file of a path: its own, and that of its target. Only those that are there."""
    try:
        return {name.parent for name in names_of(path) if name.parent.is_dir()}
    except OSError:
        return set()  # a name that cannot be looked at: the look says so


def open_file(path: Path) -> int | None:
    """Open a file; None if it does not exist or is no regular file. A pipe is not waited for.

    Raises OSError, also if fewer than RESERVED descriptors would be left.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and fd >= limit - RESERVED:  # the kernel gives the lowest number that is free
        os.close(fd)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))
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


def report(path: Path, error: OSError) -> None:
    """Log that a file could not be looked at: the one that the error names, or else `path`."""
    log.emit(log_events.WATCH_FAILED, reason=f"{error.filename or path}: {error.strerror or error}")
