"""ReadAhead: ranges of an object that are fetched before they are read, several at the same time.

Invariants: memory holds at most AHEAD chunks, and the chunks of one read. The reader reads the ranges in their order; bytes
that it has passed are dropped.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from concurrent.futures import Future

CHUNK_BYTES = 1 << 20
AHEAD = 8  # requests at the same time


class _Chunk(NamedTuple):
    offset: int
    size: int
    raw: "Future[bytes]"

    @property
    def end(self) -> int:
        return self.offset + self.size


class ReadAhead:
    """`fetch`: reads an offset and a size. `ranges`: what will be read, in order: pairs of offset and size."""

    def __init__(self, fetch: Callable[[int, int], bytes], ranges: Iterable[tuple[int, int]]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._fetch = fetch
        self._planned = _chunks(ranges)
        self._chunks: deque[_Chunk] = deque()
        self._most = 1  # doubled with each chunk: a reader of a few events stops early
        self._executor = ThreadPoolExecutor(AHEAD, "deedbox-read-ahead")

    def read(self, offset: int, size: int) -> bytes | None:
        """The bytes of a range; None if they are not planned, or were passed. Raises the error of their request."""
        while self._chunks and self._chunks[0].end <= offset:
            self._chunks.popleft().raw.cancel()
            self._most = min(2 * self._most, AHEAD)
        self._fill(offset + size)
        if not self._chunks or self._chunks[0].offset > offset:
            return None
        start = at = self._chunks[0].offset
        pieces = []
        for chunk in self._chunks:
            if chunk.offset != at or at >= offset + size:
                break
            pieces.append(chunk.raw.result())
            at = chunk.end
        raw = b"".join(pieces) if len(pieces) > 1 else pieces[0]
        return raw[offset - start : offset - start + size] if at >= offset + size else None

    def _fill(self, until: int) -> None:
        """Send requests, until enough are on their way; more for a read that needs more."""
        while len(self._chunks) < self._most or self._chunks[-1].end < until:
            planned = next(self._planned, None)
            if planned is None:
                return
            self._chunks.append(_Chunk(*planned, self._executor.submit(self._fetch, *planned)))

    def close(self) -> None:
        """Cancel what has not begun, and wait for the other requests."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _chunks(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for offset, size in ranges:
        for at in range(0, size, CHUNK_BYTES):
            yield offset + at, min(CHUNK_BYTES, size - at)
