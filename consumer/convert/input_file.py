"""A file that an import reads: sliced and searched like bytes, without being read into memory as a whole."""

import errno
import os
import stat
from pathlib import Path
from typing import Self

_FIND_BYTES = 1 << 16


class InputFile:
    """An open file as `SearchableBytes`. It is not mapped to memory: if a mapped file is truncated, the process gets SIGBUS.

    Raises OSError if the path is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise OSError(errno.EINVAL, "not a regular file; save its content as a file first", str(path))
        self._size = status.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, piece: slice) -> bytes:
        start, stop, _ = piece.indices(self._size)
        return os.pread(self._fd, stop - start, start) if stop > start else b""

    def find(self, found: bytes, start: int = 0, end: int | None = None) -> int:
        """The offset of the first occurrence, or -1."""
        last = self._size if end is None else min(end, self._size)
        for at in range(start, last, _FIND_BYTES):
            offset = self[at : min(at + _FIND_BYTES + len(found) - 1, last)].find(found)
            if offset >= 0:
                return at + offset
        return -1
