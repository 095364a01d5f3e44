"""OpenFile: a file whose lines are read, up to where they were read, and up to where they were confirmed."""

import os
import secrets

from consumer.watch.line_position import FINGERPRINT_BYTES, LinePosition, fingerprint_of, matches
from consumer.watch.lines import Line, LineSplitter

READ_BYTES = 1 << 20


class OpenFile:
    """A file that is being read. `close` closes `fd`, and so does a failure to read it at the start.

    Without a descriptor (`fd` is -1) only the bytes that are buffered can be read. `give_up_at`: when a file without its
    name is given up, in seconds of the monotonic clock; None while it has its name. `is_finished`: all its lines were
    returned, and wait for their confirmation.
    """

    def __init__(self, fd: int, position: LinePosition | None = None, at_end: bool = False) -> None:
        self.fd = fd
        try:
            self._begin(position, at_end)
        except OSError:
            self.close()
            raise

    def _begin(self, position: LinePosition | None, at_end: bool) -> None:
        found = os.fstat(self.fd)
        self.inode = found.st_ino
        self.give_up_at: float | None = None
        self.is_finished = False
        self._size, self._changed_ns = found.st_size, found.st_mtime_ns  # at the last check
        self._head = os.pread(self.fd, FINGERPRINT_BYTES, 0)
        offset = position.offset if position else found.st_size if at_end else 0
        size = min(offset, FINGERPRINT_BYTES)
        tail = os.pread(self.fd, size, offset - size)
        content_id = position.content_id if position else secrets.token_hex(8)
        self._splitter = LineSplitter(content_id, offset, position.start if position else offset, tail)
        self.confirm()

    @property
    def offset(self) -> int:
        """The offset after the last line that was returned."""
        return self._splitter.offset

    @property
    def position(self) -> LinePosition:
        """Up to where lines were returned."""
        return self._position(self.offset, self._splitter.start, self._splitter.tail)

    @property
    def confirmed(self) -> LinePosition:
        """Up to where lines were confirmed."""
        return self._position(*self._confirmed)

    @property
    def is_confirmed(self) -> bool:
        """Whether every line that was returned is confirmed."""
        return self._confirmed[0] == self.offset

    def confirm(self) -> None:
        """Every line that was returned is confirmed."""
        self._confirmed = self._splitter.offset, self._splitter.start, self._splitter.tail

    def _position(self, offset: int, start: int, tail: bytes) -> LinePosition:
        fingerprint = fingerprint_of(self._head, tail)
        size = max(offset, self._size)
        content_id = self._splitter.content_id
        return LinePosition(self.inode, offset, start, len(self._head), fingerprint, content_id, size, self._changed_ns)

    def was_truncated(self) -> bool:
        """Check the file: whether it no longer holds the bytes that were read of it. Raises OSError."""
        if self.fd < 0:
            return False
        found = os.fstat(self.fd)
        size = found.st_size
        buffered = self._splitter.buffered
        ahead = buffered[:FINGERPRINT_BYTES]
        if (
            size < max(self.offset + len(buffered), self._size)
            or not matches(self.fd, self.position)
            or os.pread(self.fd, len(ahead), self.offset) != ahead
        ):
            return True
        self._size, self._changed_ns, self._head = size, found.st_mtime_ns, os.pread(self.fd, FINGERPRINT_BYTES, 0)
        return False

    def read(self, count: int, size: int) -> list[Line]:
        """The next lines: at most `count`, and none after `size` bytes of text. Raises OSError if it could read no line."""
        found: list[Line] = []
        while len(found) < count and size > 0:
            lines = self._splitter.lines(count - len(found))
            size -= sum(len(line.text) for line in lines)
            found += lines
            try:
                if not lines and not self._fill():
                    break
            except OSError:
                if not found:
                    raise
                break  # the lines before the error are returned first; the next call raises it again
        return found

    def _fill(self) -> bool:
        at = self.offset + len(self._splitter.buffered)
        chunk = os.pread(self.fd, READ_BYTES, at) if self.fd >= 0 else b""
        self._splitter.feed(chunk)
        return bool(chunk)

    def remainder(self) -> list[Line]:
        """The bytes after the last line feed, as a line: for a file that will not grow any more."""
        return self._splitter.remainder()

    def continue_in(self, fd: int) -> None:
        """Read on in a copy, or nowhere if `fd` is -1: this file no longer holds the content."""
        self.close()
        self.fd = fd
        if fd >= 0:
            self.inode = os.fstat(fd).st_ino

    def close(self) -> None:
        """Close the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
