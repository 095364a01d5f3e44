"""Tells other processes that an archive is being uploaded: a lock file that is held meanwhile. `verify` reads it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from consumer.archive import naming
from consumer.archive.checking.place import UPLOADING
from consumer.disk.durable import Disk


@contextmanager
def uploading(directory: Path, path: Path) -> Iterator[None]:
    """Hold the lock file of an archive during the block, if the directory can be written. Two uploads at once are no error."""
    place = directory / UPLOADING / str(naming.parse_sealed(path))
    disk, fd = Disk(), None
    with suppress(OSError):
        place.parent.mkdir(exist_ok=True)
        fd = disk.acquire(place)
    try:
        yield
    finally:
        if fd is not None:
            with suppress(OSError):
                place.unlink()
            disk.close(fd)
