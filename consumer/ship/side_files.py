"""The files that belong to an archive: deleted events and acknowledged faults, beside it or in a directory above it.

Invariant: they are copied before their archive appears at another place, and removed after their archive was removed, so that a
deleted event is never shown.
"""

import os
from pathlib import Path

from consumer.archive import naming
from consumer.archive.checking import acknowledged
from consumer.archive.reading import tombstones
from consumer.disk.durable import Disk

SUFFIXES = (tombstones.SUFFIX, acknowledged.SUFFIX)
DELETED_LOCK = f"{tombstones.SUFFIX}.lock"


def side_files(root: Path, path: Path, archive: naming.ArchiveId) -> dict[str, list[Path]]:
    """The files of an archive at `path`, in its directory and in those above it up to `root`, by their suffix."""
    places = directories_of(root, path)
    found = {suffix: [place / f"{archive}{suffix}" for place in places] for suffix in SUFFIXES}
    return {suffix: there for suffix, files in found.items() if (there := [file for file in files if file.is_file()])}


def has_files(root: Path, path: Path, archive: naming.ArchiveId) -> bool:
    """Whether a file of the archive is anywhere below `root`, also a renamed one; only beside `path` if it is not below `root`.

    Raises OSError if a directory cannot be read: a copy may be there.
    """
    wanted = f"{archive}{naming.SUFFIX}"
    if root not in path.parents:
        return any(wanted in name for name in os.listdir(path.parent))
    return any(wanted in name for _, _, names in os.walk(root, onerror=_raise) for name in names)


def remove_side_files(disk: Disk, root: Path, path: Path, archive: naming.ArchiveId) -> bool:
    """Remove the files that belong to an archive that is gone, which was at `path`. Returns whether that was done. Raises OSError.

    They stay if another file of the archive is in the archive directory, such as a renamed one, a copy, or the original that a repair kept:
    its deleted events must stay hidden.
    """
    if has_files(root, path, archive):
        return False
    for files in side_files(root, path, archive).values():
        for file in files:
            disk.remove(file)
    for place in directories_of(root, path):
        for suffix in SUFFIXES:
            (place / f"{archive}{suffix}.lock").unlink(missing_ok=True)
    return True


def _raise(error: OSError) -> None:
    raise error


def directories_of(root: Path, path: Path) -> list[Path]:
    """The directory of an archive and those above it up to `root`; only its own directory if it is not below `root`."""
    if root != path.parent and root not in path.parent.parents:
        return [path.parent]
    return [place for place in path.parents if place == root or root in place.parents][: tombstones.LEVELS_MAX]
