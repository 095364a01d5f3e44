"""A small file that keeps space for the record of a removal, so that retention can free a disk that is full.

Invariant: the space is there from the first run that finds room for it, and is given back to the file system only if a record does not fit.
"""

import os
from pathlib import Path

from consumer.disk.durable import open_regular

NAME = "retain.reserve"
BYTES = 256 << 10


def keep(root: Path) -> None:
    """Take the space if it is not taken yet. A disk without room for it is no error."""
    path = root / NAME
    try:
        if path.exists() and path.stat().st_size >= BYTES:
            return
        fd = open_regular(path, os.O_WRONLY | os.O_CREAT)
        try:
            os.posix_fallocate(fd, 0, BYTES)
        finally:
            os.close(fd)
    except OSError:
        give(root)  # the disk is full, or cannot be written: the record itself will report that


def give(root: Path) -> bool:
    """Give the space back. Returns whether there was any."""
    path = root / NAME
    try:
        taken = path.stat().st_size > 0
        path.unlink()
    except OSError:
        return False
    return taken
