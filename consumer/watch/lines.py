"""One open file as lines, and where each of them stands.

Invariants: a line is given out once, in order, and as bytes: half a character waits with half its line. Memory is bounded:
a line longer than PIECE_BYTES is given out in pieces, which are cut at the same places whenever they are read. A position is
proof of what it counts: its checksum covers the beginning of the file and the bytes before it, as they were read.
"""

import os
import secrets
from typing import Annotated, NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

READ_BYTES = 1 << 20
PIECE_BYTES = 8 << 20  # half of what RabbitMQ 4 takes by default: headers need room, and a limit may be lower
MARK_BYTES = 1024

Unsigned = Annotated[int, msgspec.Meta(ge=0)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]  # more than a file can have, less than the kernel refuses
Head = Annotated[int, msgspec.Meta(ge=0, le=MARK_BYTES)]


class Position(NamedTuple):
    """Up to where a file has been read.

    `start`: where the line begins that `offset` is in; equal to `offset` except between two pieces. `mark`: a checksum of the
    first `head` bytes, which were seen and need not have been read, and of the last MARK_BYTES before `offset`.
    `generation`: one life of the content, new after each truncation. `size`, `changed_ns`: of the file when it was last looked
    at, with the time of its last write; 0 if they are unknown.
    """

    inode: Unsigned
    offset: Offset
    start: Offset
    head: Head
    mark: Unsigned
    generation: str
    size: Unsigned = 0
    changed_ns: int = 0


class Line(NamedTuple):
    """A line without its line feed, or a piece of one. It begins at `start`; `offset` is where reading goes on after it.

    `piece`: its number from 0 on, or None for a whole line; `last`: whether the line ends here.
    """

    text: bytes
    generation: str
    start: int
    offset: int
    piece: int | None = None
    last: bool = True


class OpenFile:
    """A file that is being read. `fd` is closed by `close`, and if it cannot be read; without one, only what was read ahead is left.

    `until`: when a file that lost its name is given up, in seconds of the monotonic clock; None while it has its name.
    `done`: it has been given out to its end and waits to be confirmed.
    """

    def __init__(self, fd: int, position: Position | None = None, at_end: bool = False) -> None:
        self.fd = fd
        try:
            self._begin(position, at_end)
        except OSError:
            self.close()
            raise

    def _begin(self, position: Position | None, at_end: bool) -> None:
        found = os.fstat(self.fd)
        self.inode = found.st_ino
        self.offset = position.offset if position else found.st_size if at_end else 0
        self.generation = position.generation if position else secrets.token_hex(8)
        self.until: float | None = None
        self.done = False
        self._start = position.start if position else self.offset
        self._ahead = b""  # read, and not given out; it begins at `_taken`
        self._taken = self.offset
        self._size, self._changed_ns = found.st_size, found.st_mtime_ns  # at the last look
        self._head = os.pread(self.fd, MARK_BYTES, 0)
        size = min(self.offset, MARK_BYTES)
        self._tail = os.pread(self.fd, size, self.offset - size)
        self._confirmed = (self.offset, self._start, self._tail)

    @property
    def confirmed(self) -> Position:
        """Up to where it has been confirmed."""
        return self._position(*self._confirmed)

    @property
    def position(self) -> Position:
        """Up to where it has been given out."""
        return self._position(self.offset, self._start, self._tail)

    @property
    def is_confirmed(self) -> bool:
        """Whether all that was given out is confirmed."""
        return self._confirmed[0] == self.offset

    def confirm(self) -> None:
        """All that was given out is confirmed."""
        self._confirmed = (self.offset, self._start, self._tail)

    def _position(self, offset: int, start: int, tail: bytes) -> Position:
        mark = _checksum(self._head, tail)
        size = max(offset, self._size)
        return Position(self.inode, offset, start, len(self._head), mark, self.generation, size, self._changed_ns)

    def changed(self) -> bool:
        """Look at the file: whether it does not hold any more what was seen of it. Raises OSError."""
        if self.fd < 0:
            return False
        found = os.fstat(self.fd)
        size = found.st_size
        ahead = self._ahead[:MARK_BYTES]
        if (
            size < max(self.offset + len(self._ahead), self._size)
            or not holds(self.fd, self.position)
            or os.pread(self.fd, len(ahead), self.offset) != ahead
        ):
            return True
        self._size, self._changed_ns, self._head = size, found.st_mtime_ns, os.pread(self.fd, MARK_BYTES, 0)
        return False

    def read(self, count: int, size: int) -> list[Line]:
        """The next lines: at most `count`, and no more after `size` bytes. Raises OSError if there is none because of it."""
        found: list[Line] = []
        while len(found) < count and size > 0:
            lines = self._split(count - len(found))
            size -= sum(len(line.text) for line in lines)
            found += lines
            try:
                if not lines and not self._fill():
                    break
            except OSError:
                if not found:
                    raise
                break  # what was read before is given out first; the next call fails again
        return found

    def rest(self) -> list[Line]:
        """What stands after the last line feed of a file that will not grow any more."""
        return self._take(self._cut(self._ahead, len(self._ahead), True)) if self._ahead else []

    def move_to(self, fd: int) -> None:
        """Go on in a copy, or nowhere if `fd` is -1: the content that was being read is not in this file any more."""
        self.close()
        self.fd = fd
        if fd >= 0:
            self.inode = os.fstat(fd).st_ino

    def close(self) -> None:
        """Read the file no more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _fill(self) -> bool:
        chunk = os.pread(self.fd, READ_BYTES, self.offset + len(self._ahead)) if self.fd >= 0 else b""
        self._ahead += chunk
        return bool(chunk)

    def _split(self, count: int) -> list[Line]:
        """Lines out of what was read ahead; pieces of a line that has no end yet and is too long to wait for it."""
        *texts, rest = self._ahead.split(b"\n", count)
        found: list[Line] = []
        for text in texts:
            found += self._cut(text, len(text) + 1, True)
        if not found and len(rest) > PIECE_BYTES:
            found = self._cut(rest, len(rest), False)
        return self._take(found)

    def _cut(self, text: bytes, size: int, ended: bool) -> list[Line]:
        """`text` as one line or in pieces. `size` bytes of the file stand for it; what has no end yet waits with its rest."""
        found: list[Line] = []
        while len(text) > PIECE_BYTES:
            found.append(self._give(text[:PIECE_BYTES], PIECE_BYTES, self._number, False))
            text, size = text[PIECE_BYTES:], size - PIECE_BYTES
        if ended:
            found.append(self._give(text, size, self._number or None, True))
            self._start = self.offset
        return found

    @property
    def _number(self) -> int:
        return (self.offset - self._start) // PIECE_BYTES

    def _give(self, text: bytes, size: int, piece: int | None, last: bool) -> Line:
        self.offset += size
        return Line(text, self.generation, self._start, self.offset, piece, last)

    def _take(self, lines: list[Line]) -> list[Line]:
        """Drop from what was read ahead the bytes of lines that were given out: once for all, because each time copies the rest."""
        if lines:
            size = self.offset - self._taken
            taken, self._ahead = self._ahead[:size], self._ahead[size:]
            self._tail = (self._tail + taken[-MARK_BYTES:])[-MARK_BYTES:]
            self._taken = self.offset
        return lines


def holds(fd: int, position: Position) -> bool:
    """Whether the file holds what a position counts, or is a copy of it. Raises OSError."""
    size = min(position.offset, MARK_BYTES)
    head, tail = os.pread(fd, position.head, 0), os.pread(fd, size, position.offset - size)
    return (len(head), len(tail)) == (position.head, size) and _checksum(head, tail) == position.mark


def _checksum(head: bytes, tail: bytes) -> int:
    return xxh3_64_intdigest(head + tail)
