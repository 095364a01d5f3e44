"""Take what the broker answers to published messages out of the byte stream of a connection.

Role: `ConfirmSplitter` takes basic.ack, basic.nack, basic.return with its content, connection.blocked and connection.unblocked.
It notices channel.close and connection.close, which the library also gets, because the library must answer them.
Invariant: the answers are in the order of the stream.
Source: AMQP 0-9-1 sections 1.4.2 and 1.8.3; RabbitMQ's guides "Publisher Confirms" and "Blocked Connections".
"""

import struct
from typing import NamedTuple

from codec.amqp import decode_text
from consumer.amqp.frames import BODY, HEADER, METHOD
from consumer.amqp.split import Content, FrameSplitter

_ACK, _NACK, _RETURN = b"\x00\x3c\x00\x50", b"\x00\x3c\x00\x78", b"\x00\x3c\x00\x32"
_CHANNEL_CLOSE, _CONNECTION_CLOSE = b"\x00\x14\x00\x28", b"\x00\x0a\x00\x32"
_BLOCKED, _UNBLOCKED = b"\x00\x0a\x00\x3c", b"\x00\x0a\x00\x3d"
_TAG = struct.Struct(">QB")  # delivery tag, flags
_ACK_FRAME = struct.Struct(">BHI4sQBB")  # of basic.ack and basic.nack: the whole frame
_CODE = struct.Struct(">H")


class Confirm(NamedTuple):
    """basic.ack, or basic.nack if `accepted` is False. `multiple`: for every message up to and including `tag`."""

    channel: int
    tag: int
    multiple: bool
    accepted: bool


class Returned(NamedTuple):
    """basic.return: a mandatory message that no queue took, as the broker sends it back."""

    channel: int
    code: int
    text: str
    exchange: str
    routing_key: str
    header: bytes
    body: bytes


class Closed(NamedTuple):
    """channel.close, or connection.close if `channel` is 0."""

    channel: int
    code: int
    text: str


class Blocked(NamedTuple):
    """connection.blocked, or connection.unblocked if `reason` is empty."""

    reason: str


Answer = Confirm | Returned | Closed | Blocked


class ConfirmSplitter(FrameSplitter):
    """Splits the bytes from the socket into answers and other frames."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: list[Answer] = []
        self._returns: dict[int, tuple[bytes, Content]] = {}  # by channel: the method, and the content so far

    def feed(self, chunk: bytes) -> tuple[list[Answer], bytes]:
        """Return the answers that are complete now, and the bytes of the other complete frames."""
        self._answers = []
        others = self.split(chunk)
        return self._answers, others

    def take_run(self, data: bytes, at: int, size: int) -> int:
        """Take basic.ack and basic.nack frames that follow each other. Nearly all frames of a busy channel are these."""
        while at + _ACK_FRAME.size <= size:
            kind, channel, length, method, tag, flags, _end = _ACK_FRAME.unpack_from(data, at)
            if kind != METHOD or length != 13 or (method != _ACK and method != _NACK) or _end != 0xCE:
                break
            self._answers.append(Confirm(channel, tag, flags & 1 == 1, method == _ACK))
            at += _ACK_FRAME.size
        return at

    def take_frame(self, kind: int, channel: int, frame: bytes) -> bytes:
        """Take a frame that belongs to an answer."""
        payload = frame[7:-1]
        if kind != METHOD:
            return b"" if self._take_content(kind, channel, payload) else frame
        method = payload[:4]
        if method in (_CHANNEL_CLOSE, _CONNECTION_CLOSE):
            return self._close(channel, frame)
        if method == _RETURN:
            self._returns[channel] = payload, Content()
        elif method == _BLOCKED:
            self._answers.append(Blocked(_short(payload, 4)[0] or "unknown"))
        elif method == _UNBLOCKED:
            self._answers.append(Blocked(""))
        else:
            return frame
        return b""

    def _close(self, channel: int, frame: bytes) -> bytes:
        """The library answers a close, and it cannot read a text that is not UTF-8: it gets the text as ASCII."""
        code, (text, at) = _CODE.unpack_from(frame, 11)[0], _short(frame, 13)
        self._answers.append(Closed(channel, code, text))
        ascii_text = bytes(byte if byte < 0x80 else 0x3F for byte in frame[14:at])
        return frame[:14] + ascii_text + frame[at:]

    def _take_content(self, kind: int, channel: int, payload: bytes) -> bool:
        method, content = self._returns.get(channel, (b"", None))
        if content is None or kind not in (HEADER, BODY):
            return False
        if content.take(kind, payload):
            del self._returns[channel]
            code = _CODE.unpack_from(method, 4)[0]
            text, at = _short(method, 6)
            exchange, at = _short(method, at)
            key, _at = _short(method, at)
            self._answers.append(Returned(channel, code, text, exchange, key, content.header, content.body))
        return True


def _short(payload: bytes, at: int) -> tuple[str, int]:
    """The short string at an offset, and the offset after it."""
    end = at + 1 + payload[at]
    return decode_text(payload[at + 1 : end]), end
