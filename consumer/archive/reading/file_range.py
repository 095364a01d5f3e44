"""A range of a file that is read in pieces each time it is iterated, so that memory holds one piece."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

PIECE_BYTES = 1 << 20
WHOLE_BYTES_MAX = 8 << 20  # a larger frame is read in pieces, as often as it is needed
_ZEROS = bytes(PIECE_BYTES)


def is_zeros(piece: bytes) -> bool:
    """Whether all bytes are zero. Compared as a whole, because sparse files hold many such pieces."""
    return piece == (_ZEROS if len(piece) == PIECE_BYTES else bytes(len(piece)))


@dataclass(frozen=True, slots=True)
class FileRange:
    """`size` bytes from `offset` on; `read` takes an offset and a size."""

    read: Callable[[int, int], bytes]
    offset: int
    size: int

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, self.size, PIECE_BYTES):
            yield self.read(self.offset + at, min(PIECE_BYTES, self.size - at))


def frame_pieces(read: Callable[[int, int], bytes], offset: int, size: int) -> Iterable[bytes]:
    """The bytes of a frame: in one piece if it is small, otherwise in pieces that are read each time."""
    return (read(offset, size),) if size <= WHOLE_BYTES_MAX else FileRange(read, offset, size)
