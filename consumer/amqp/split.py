"""Split the byte stream of a connection into the frames that Deedbox takes and those that the library gets.

Role: the base of the two stream readers, for deliveries and for confirms. It knows frames and their content, and nothing of sockets.
Invariants: the frames that are passed on keep their order, and are whole. Bytes that are not AMQP frames are all passed on.
Source: AMQP 0-9-1 sections 2.3.5 and 4.2.3.
"""

import struct

from consumer.amqp.frames import BODY, END, FRAME, HEADER, KINDS

_CONTENT = struct.Struct(">HHQ")  # class, weight, body size
_unpack_frame = FRAME.unpack_from  # a method of an imported name is slower to call; called for every frame


class Content:
    """The content header and the body that follow a method. `missing`: bytes of the body to come; -1 until the header is there."""

    __slots__ = ("header", "missing", "pieces")

    def __init__(self) -> None:
        self.header = b""
        self.missing = -1
        self.pieces: list[bytes] = []

    def take(self, kind: int, payload: bytes) -> bool:
        """Take a frame of the content. Return whether the content is complete now."""
        if kind == HEADER:
            self.missing = _CONTENT.unpack_from(payload)[2]
            self.header = payload[_CONTENT.size :]
        elif kind == BODY:
            self.pieces.append(payload)
            self.missing -= len(payload)
        return self.missing == 0

    @property
    def body(self) -> bytes:
        """The whole body."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)


class FrameSplitter:
    """`passthrough`: the bytes are not AMQP frames, so all of them go to the library."""

    def __init__(self) -> None:
        self._remainder = b""
        self.passthrough = False

    def split(self, chunk: bytes) -> bytes:
        """Take frames from the stream. Return the bytes of the other complete frames."""
        data = self._remainder + chunk if self._remainder else bytes(chunk)
        if self.passthrough:
            return data
        others: list[bytes] = []
        at, size = 0, len(data)
        while size - at >= 8:
            after = self.take_run(data, at, size)
            if after > at:
                at = after
                continue
            kind, channel, length = _unpack_frame(data, at)
            end = at + length + 8
            if kind not in KINDS or (end <= size and data[end - 1] != END):
                # Not an AMQP frame. The library gets the bytes and reports the error.
                self.passthrough = True
                others.append(data[at:])
                at = size
                break
            if end > size:
                break
            others.append(self.take_frame(kind, channel, data[at:end]))
            at = end
        self._remainder = data[at:]
        return b"".join(others)

    def take_run(self, data: bytes, at: int, size: int) -> int:
        """Take frames that need no parsing of others, from offset `at` of `size` bytes. Return the offset after the last one taken."""
        raise NotImplementedError

    def take_frame(self, kind: int, channel: int, frame: bytes) -> bytes:
        """Return the bytes that the library gets for one frame: the frame itself, or nothing if it is taken."""
        raise NotImplementedError
