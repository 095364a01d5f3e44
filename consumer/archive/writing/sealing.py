"""Sealing: give an archive that is written and synced its final name.

Invariants: the rename replaces no file; the directories of the new name are durable, or wait in `Disk.unsynced`; after the rename
nothing fails.
"""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from consumer.archive import naming
from consumer.disk.durable import Disk, open_regular


@dataclass(frozen=True, slots=True)
class Sealed:
    """An archive that does not change any more."""

    archive: naming.ArchiveId
    path: Path
    events: int
    bytes: int
    sha256: str


def publish(disk: Disk, fd: int, source: Path, target: Path) -> None:
    """Give a synced archive its sealed name. Raises OSError."""
    disk.make_directory(target.parent)
    for parent in target.parent.parents:
        if parent == source.parent or source.parent not in parent.parents:
            break
        disk.sync_directory(parent)  # of a deeper template: an earlier attempt may have made it and not synced it
    disk.rename(source, target)
    with suppress(OSError):  # an archive that stays writable is sealed nevertheless
        disk.make_read_only(fd)  # last: if the rename fails, recovery must be able to write


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises OSError."""
    with open(open_regular(path, os.O_RDONLY, follow=True), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
