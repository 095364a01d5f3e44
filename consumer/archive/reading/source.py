"""Source: the bytes of one archive, read at any offset. An open file is a source, and so is an object that answers range requests (`object_source`).

Role: `ArchiveReader` asks a source for bytes and knows nothing else of where they are. Invariants: `size` changes only by
`refresh`, so that bytes appended in the meantime are not read. The properties of files only (inode, lock, growth) are in `FileSource`.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from consumer.archive import naming
from consumer.archive.location import Location
from consumer.disk.durable import is_held, open_regular
from consumer.disk.locks import is_locked


class Source(Protocol):
    """The bytes of an archive, wherever they are."""

    @property
    def location(self) -> Location:
        """Its path or URL. The last part is the name of the archive."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    @property
    def bytes_read(self) -> int:
        """How many bytes were read so far, from the disk or the storage."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`, which is not negative; fewer only at the end. Raises OSError."""

    def expect(self, offset: int, size: int) -> None:
        """The next reads are within this range. A source that pays for each request reads it at once. Raises OSError."""

    def plan(self, ranges: Iterable[tuple[int, int]]) -> None:
        """The next reads are of these ranges (offset and size), in their order. A source that waits for its answers reads ahead."""

    def close(self) -> None:
        """Free the resources of the source. It is not read afterwards."""


class FileSource:
    """A local file, opened for reading. `file`: device and inode, which identify the file for as long as it is open.

    `live`: a process was writing it when it was opened, so that its last bytes may be incomplete.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.location = path
        self.size = self.bytes_read = 0
        self._fd = open_regular(path, os.O_RDONLY, follow=True)
        try:
            found = os.fstat(self._fd)
            self.file = found.st_dev, found.st_ino
            # Checked before and after the size is read: if the end is incomplete at that size, the file was being written.
            written = self._is_written()
            self.refresh()
            self.live = written or self._is_written()
        except OSError:
            self.close()
            raise

    def read(self, offset: int, size: int) -> bytes:
        """As `Source.read`. A read that the kernel cut short is continued."""
        if size <= 0:
            return b""
        piece = os.pread(self._fd, size, offset)
        self.bytes_read += len(piece)
        if len(piece) == size or not piece:
            return piece
        pieces = [piece]
        while (size := size - len(piece)) > 0:
            offset += len(piece)
            if not (piece := os.pread(self._fd, size, offset)):
                break
            self.bytes_read += len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def expect(self, offset: int, size: int) -> None:
        """As `Source.expect`. A read of a file costs nothing that could be saved."""

    def plan(self, ranges: Iterable[tuple[int, int]]) -> None:
        """As `Source.plan`. The kernel reads ahead."""

    def refresh(self) -> None:
        """See the bytes that were appended since."""
        self.size = os.fstat(self._fd).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _is_written(self) -> bool:
        archive = naming.parse_open(self.path)
        if archive is None:
            return False
        return is_locked(self._fd) or self._is_being_made(archive)

    def _is_being_made(self, archive: naming.ArchiveId) -> bool:
        """Whether its instance is running and has written nothing to it yet: a new file exists for a moment before it is locked."""
        lock = naming.lock_path(self.path.parent, archive.instance)
        try:
            return os.fstat(self._fd).st_size == 0 and lock.exists() and is_held(lock)
        except OSError:
            return False  # Deedbox did not make this lock file
