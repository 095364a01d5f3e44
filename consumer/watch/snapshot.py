"""What a path is at one moment, and what happened between two moments.

Invariant: `changes` is pure, and applying it to the old names gives the new ones: nothing is told twice, and nothing left out.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Kind(StrEnum):
    """What happened. `EXISTS` and `END_EXIST` come once, when a monitor is set; no handler may rely on the latter."""

    EXISTS = "exists"
    END_EXIST = "endExist"
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


class Stamp(NamedTuple):
    """What makes a file another one than before: inode, times of change, size, mode."""

    inode: int
    mtime_ns: int
    ctime_ns: int  # also where a copy has put the other one back
    size: int
    mode: int

    @property
    def is_directory(self) -> bool:
        """Whether it has entries."""
        return stat.S_ISDIR(self.mode)


_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # not there, gone again, or a link to nothing


@dataclass(frozen=True)
class Snapshot:
    """A path and, if it is a directory, its entries by name; `stamp` is None where nothing is."""

    stamp: Stamp | None = None
    entries: dict[str, Stamp] = field(default_factory=dict)


def _stamp(found: os.stat_result) -> Stamp:
    if stat.S_ISDIR(found.st_mode):
        return Stamp(found.st_ino, 0, 0, 0, found.st_mode)  # its time and size say only that entries came or went
    return Stamp(found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode)


def take(path: Path) -> Snapshot:
    """Look at a path now. What vanishes while it is looked at is not there. Raises OSError for what cannot be looked at."""
    try:
        own = _stamp(path.stat())
    except OSError as error:
        if error.errno in _ABSENT:
            return Snapshot()
        raise
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from error  # a NUL in its name
    return Snapshot(own, dict(_entries(path)) if own.is_directory else {})


def _entries(path: Path) -> Iterator[tuple[str, Stamp]]:
    with os.scandir(path) as found:
        for entry in found:
            try:
                yield entry.name, _stamp(entry.stat())
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise


def changes(before: Snapshot, after: Snapshot) -> Iterator[tuple[Kind, str | None]]:
    """What happened between two looks: kind, and the name of the entry, or None for the path itself."""
    if before.stamp is None and after.stamp is not None:
        yield Kind.CREATED, None
    elif before.stamp is not None and after.stamp is None:
        yield from ((Kind.DELETED, name) for name in sorted(before.entries))
        yield Kind.DELETED, None
        return
    elif before.stamp != after.stamp:
        yield Kind.CHANGED, None
    yield from ((Kind.DELETED, name) for name in sorted(before.entries.keys() - after.entries.keys()))
    for name in sorted(after.entries):
        if name not in before.entries:
            yield Kind.CREATED, name
        elif after.entries[name] != before.entries[name]:
            yield Kind.CHANGED, name


def settled(before: Snapshot, last: Snapshot, after: Snapshot) -> Snapshot:
    """`after`, but what still changes between two looks is as it was `before`: nobody is told of a half-written file."""
    if after.stamp is None or before.stamp is None:
        return after
    entries = {}
    for name, found in after.entries.items():
        moving = name in before.entries and last.entries.get(name) != found
        entries[name] = before.entries[name] if moving else found
    growing = last.stamp != after.stamp and not after.stamp.is_directory
    return Snapshot(before.stamp if growing else after.stamp, entries)
