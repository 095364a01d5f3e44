"""HashedSource: reads another source in large blocks, once each and in order, and computes the SHA-256 of all bytes meanwhile.

Role: for a reader of everything, for which many small requests would be slow. Invariant: the SHA-256 is that of all bytes, whatever was
read before. Memory: BLOCKS_KEPT blocks.
"""

import hashlib
from collections.abc import Iterable

from consumer.archive.location import Location
from consumer.archive.reading.source import Source

BLOCK_BYTES = 4 << 20
BLOCKS_KEPT = 3


class HashedSource:
    """The bytes of another source, which it closes."""

    def __init__(self, source: Source) -> None:
        self.location: Location = source.location
        self.size = source.size
        self._source = source
        self._blocks: dict[int, bytes] = {}
        self._hashed = 0  # blocks
        self._sha256 = hashlib.sha256()

    @property
    def bytes_read(self) -> int:
        """As `Source.bytes_read`."""
        return self._source.bytes_read

    def read(self, offset: int, size: int) -> bytes:
        """As `Source.read`."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        first, last = offset // BLOCK_BYTES, (offset + size - 1) // BLOCK_BYTES
        raw = b"".join(map(self._block, range(first, last + 1)))
        begin = offset - first * BLOCK_BYTES
        return raw[begin : begin + size]

    def expect(self, offset: int, size: int) -> None:
        """Nothing: everything is read in blocks."""

    def plan(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Nothing: everything is read in blocks."""

    def sha256(self) -> str:
        """SHA-256 of all bytes, in hexadecimal. Reads those that were not read in their order. Raises OSError."""
        while self._hashed * BLOCK_BYTES < self.size:
            self._block(self._hashed)
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _block(self, number: int) -> bytes:
        raw = self._blocks.get(number)
        if raw is None:
            raw = self._blocks[number] = self._source.read(number * BLOCK_BYTES, BLOCK_BYTES)
        if number == self._hashed:
            self._sha256.update(raw)
            self._hashed += 1
        while len(self._blocks) > BLOCKS_KEPT:
            del self._blocks[next(iter(self._blocks))]
        return raw
