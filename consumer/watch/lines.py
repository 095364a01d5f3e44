"""Bytes of a file in, lines out. Pure: no file is read here.

Invariants: a line is returned once, in order, and as bytes; an incomplete line waits for its end. Memory is bounded: a line longer than
PIECE_BYTES is returned in pieces, which are cut at the same offsets whenever the file is read.
"""

from typing import NamedTuple

from consumer.watch.line_position import FINGERPRINT_BYTES

PIECE_BYTES = 8 << 20  # half of the default limit of RabbitMQ 4: headers need room, and a limit may be lower


class Line(NamedTuple):
    """A line without its line feed, or a piece of a long line.

    `start`: the offset of the line in the file. `offset`: the offset after the line or piece. `piece`: the number of the
    piece, from 0 on; None for a whole line. `last`: whether the line ends here.
    """

    text: bytes
    content_id: str
    start: int
    offset: int
    piece: int | None = None
    last: bool = True


class LineSplitter:
    """Splits the bytes from `offset` on. `start` is the offset of the current line, `tail` the last bytes before `offset`.

    `buffered`: the bytes from `offset` on that are no complete line or piece yet.
    """

    def __init__(self, content_id: str, offset: int, start: int, tail: bytes) -> None:
        self.content_id, self.offset, self.start, self.tail = content_id, offset, start, tail
        self.buffered = b""
        self._buffer_offset = offset

    def feed(self, chunk: bytes) -> None:
        """Add the next bytes of the file."""
        self.buffered += chunk

    def lines(self, count: int) -> list[Line]:
        """At most `count` complete lines; or, if there is none and the line is too long to wait for its end, pieces of it."""
        *texts, incomplete = self.buffered.split(b"\n", count)
        found: list[Line] = []
        for text in texts:
            found += self._cut(text, len(text) + 1, True)
        if not found and len(incomplete) > PIECE_BYTES:
            found = self._cut(incomplete, len(incomplete), False)
        self._discard_returned()
        return found

    def remainder(self) -> list[Line]:
        """The bytes after the last line feed, as a line: for a file that will not grow any more."""
        found = self._cut(self.buffered, len(self.buffered), True) if self.buffered else []
        self._discard_returned()
        return found

    def _cut(self, text: bytes, size: int, is_complete: bool) -> list[Line]:
        """`text` as one line or in pieces. It is `size` bytes of the file. An incomplete line stays in the buffer."""
        found: list[Line] = []
        while len(text) > PIECE_BYTES:
            found.append(self._line(text[:PIECE_BYTES], PIECE_BYTES, self._piece_number, False))
            text, size = text[PIECE_BYTES:], size - PIECE_BYTES
        if is_complete:
            found.append(self._line(text, size, self._piece_number or None, True))
            self.start = self.offset
        return found

    @property
    def _piece_number(self) -> int:
        return (self.offset - self.start) // PIECE_BYTES

    def _line(self, text: bytes, size: int, piece: int | None, last: bool) -> Line:
        self.offset += size
        return Line(text, self.content_id, self.start, self.offset, piece, last)

    def _discard_returned(self) -> None:
        """Remove the returned bytes from the buffer: once for all lines of a call, because it copies the buffer."""
        size = self.offset - self._buffer_offset
        if size:
            returned, self.buffered = self.buffered[:size], self.buffered[size:]
            self.tail = (self.tail + returned[-FINGERPRINT_BYTES:])[-FINGERPRINT_BYTES:]
            self._buffer_offset = self.offset
