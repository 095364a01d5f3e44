"""Torn ends: keep the bytes in a file of their own before they are cut off.

Invariants: no byte is lost; a kept file is never replaced; the same bytes are kept once.
"""

import os
from functools import partial
from operator import eq
from pathlib import Path

from consumer.archive import naming
from consumer.archive.reading.file_range import FileRange, is_zeros
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.survey import Survey
from consumer.disk.durable import Disk


def cut_torn_end(disk: Disk, fd: int, found: Survey) -> None:
    """Cut a torn end off, after it was kept aside. Durable when the footer that is appended next is synced."""
    if found.torn is not None:
        keep_aside(disk, found.path, found.torn.offset, found.torn.size)
        disk.truncate(fd, found.torn.offset)


def keep_aside(disk: Disk, path: Path, offset: int, size: int) -> None:
    """Copy bytes of an archive to `….torn`. The same bytes give the same file."""
    aside = path.with_name(f"{path.name}.{offset}{naming.TORN_SUFFIX}")
    with ArchiveFile(path) as archive:
        torn = FileRange(archive.read, offset, size)
        if not _holds(aside, torn):
            disk.replace_with(free_name(aside), partial(_copy, disk, torn))


def _copy(disk: Disk, torn: FileRange, fd: int) -> None:
    """A piece of zeros becomes a hole, so that the copy of a sparse file is sparse."""
    for piece in torn:
        if is_zeros(piece):
            disk.truncate(fd, os.lseek(fd, len(piece), os.SEEK_CUR))
        else:
            disk.append(fd, piece)


def _holds(path: Path, wanted: FileRange) -> bool:
    """Whether a file holds exactly these bytes."""
    if not is_regular(path) or path.stat().st_size != wanted.size:
        return False
    with ArchiveFile(path) as kept:
        return all(map(eq, FileRange(kept.read, 0, wanted.size), wanted))


def is_regular(path: Path) -> bool:
    """Whether the path is a regular file, and not a symbolic link to one."""
    return path.is_file() and not path.is_symlink()


def free_name(wanted: Path) -> Path:
    """A name that no file has: `wanted`, or `wanted` with a number after it."""
    name, number = wanted, 1
    while os.path.lexists(name):
        number += 1
        name = wanted.with_name(f"{wanted.name}.{number}")
    return name
