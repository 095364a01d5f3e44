"""The state of a path at one moment, and the events between two such states.

Invariant: `differences` is pure. Applied to the names of the first snapshot, its events give the names of the second one;
no event is reported twice, and none is missing.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class FileEventKind(StrEnum):
    """The change of a file or directory.

    EXISTS and END_EXIST are reported once, after a monitor is added: EXISTS for everything that is there, then one
    END_EXIST. A handler must not depend on END_EXIST.
    """

    EXISTS = "exists"
    END_EXIST = "endExist"
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


class FileStat(NamedTuple):
    """The fields of stat(2) that show a change. A file has changed if one of them differs."""

    inode: int
    mtime_ns: int
    ctime_ns: int  # changes even if a program restores the mtime
    size: int
    mode: int

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)


_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # it does not exist, or is a symbolic link without a target


@dataclass(frozen=True)
class Snapshot:
    """The state of a path and, if it is a directory, of its entries by name. `stat` is None if the path does not exist."""

    stat: FileStat | None = None
    entries: dict[str, FileStat] = field(default_factory=dict)


def _file_stat(found: os.stat_result) -> FileStat:
    if stat.S_ISDIR(found.st_mode):
        # The times and the size of a directory change with its entries, which are compared one by one.
        return FileStat(found.st_ino, 0, 0, 0, found.st_mode)
    return FileStat(found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode)


def take_snapshot(path: Path) -> Snapshot:
    """The state of a path now. A file that disappears during the call is not part of it.

    Raises OSError if the path or one of its entries cannot be read.
    """
    try:
        own = _file_stat(path.stat())
    except OSError as error:
        if error.errno in _ABSENT:
            return Snapshot()
        raise
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from error  # a NUL in its name
    return Snapshot(own, dict(_entries(path)) if own.is_directory else {})


def _entries(path: Path) -> Iterator[tuple[str, FileStat]]:
    with os.scandir(path) as found:
        for entry in found:
            try:
                yield entry.name, _file_stat(entry.stat())
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise


def differences(before: Snapshot, after: Snapshot) -> Iterator[tuple[FileEventKind, str | None]]:
    """The events between two snapshots: the kind, and the name of the entry, or None for the path itself."""
    if before.stat is None and after.stat is not None:
        yield FileEventKind.CREATED, None
    elif before.stat is not None and after.stat is None:
        yield from ((FileEventKind.DELETED, name) for name in sorted(before.entries))
        yield FileEventKind.DELETED, None
        return
    elif before.stat != after.stat:
        yield FileEventKind.CHANGED, None
    yield from ((FileEventKind.DELETED, name) for name in sorted(before.entries.keys() - after.entries.keys()))
    for name in sorted(after.entries):
        if name not in before.entries:
            yield FileEventKind.CREATED, name
        elif after.entries[name] != before.entries[name]:
            yield FileEventKind.CHANGED, name


def settled(reported: Snapshot, last: Snapshot, now: Snapshot) -> Snapshot:
    """`now`, but with the state in `reported` for every file that has changed since `last`: it may be half written."""
    if now.stat is None or reported.stat is None:
        return now
    entries = {}
    for name, found in now.entries.items():
        is_growing = name in reported.entries and last.entries.get(name) != found
        entries[name] = reported.entries[name] if is_growing else found
    own_is_growing = last.stat != now.stat and not now.stat.is_directory
    return Snapshot(reported.stat if own_is_growing else now.stat, entries)
