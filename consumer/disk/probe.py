"""Check that a disk accepts a file of a given size, by the same steps as an archive: create, append, sync.

Invariant: a probe leaves no file, whether it succeeds or fails.
"""

import os
from contextlib import suppress
from pathlib import Path

from consumer.disk.durable import Disk

PROBE_BYTES = 64 * 1024


def probe(disk: Disk, path: Path, size: int = PROBE_BYTES) -> None:
    """Write `size` bytes to a new file, sync it and its directory, and remove it. Raises the OSError of the step that failed.

    The bytes are random, because a file system that compresses would accept any number of zeros.
    """
    path.unlink(missing_ok=True)  # left by a crash
    try:
        fd = disk.create(path)
        try:
            disk.append(fd, os.urandom(size))
            disk.sync(fd)
        finally:
            disk.close(fd)
        disk.sync_directory(path.parent)
    except OSError:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise
    disk.remove(path)
