"""Side files or a digest that are open for shipping: their SHA-256 and their bytes in pieces.

Such files are replaced as a whole and never written in place. Several side files of an archive follow each other: both kinds have a line for
each entry, and their readers do not care for the order.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from consumer.archive.reading.source import FileSource
from consumer.errors import DeedboxError
from consumer.ship.compare import Facts

PIECE_BYTES = 1 << 20


class PlainFile:
    """The content of files as it was when they were opened, one after the other. Raises OSError."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._name = str(paths[0])
        self._sha256 = ""
        self._size = 0
        self._files: list[FileSource] = []
        try:
            for path in paths:
                self._files.append(FileSource(path))
                self._size += self._files[-1].size
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def read_whole(self) -> Facts:
        """Size and SHA-256."""
        if not self._sha256:
            digest = hashlib.sha256()
            for piece in self._read():
                digest.update(piece)
            self._sha256 = digest.hexdigest()
        return Facts(self._size, self._sha256)

    def pieces(self) -> Iterator[bytes]:
        """The content. Raises DeedboxError before the last piece if it is not what `read_whole` read."""
        digest, left = hashlib.sha256(), self._size
        for piece in self._read():
            digest.update(piece)
            left -= len(piece)
            if left == 0 and digest.hexdigest() != self._sha256:
                break
            yield piece
        if left or digest.hexdigest() != self._sha256:
            raise DeedboxError(f"{self._name}: it was written while it was read", "nothing: it is shipped again")

    def _read(self) -> Iterator[bytes]:
        for file in self._files:
            for offset in range(0, file.size, PIECE_BYTES):
                yield file.read(offset, min(PIECE_BYTES, file.size - offset))
