"""The frames of basic.publish with its content, written without encoding the content header again.

Invariant: the broker gets the bytes of the header and of the body exactly as they are in `Outgoing`, and always `mandatory`.
Source: AMQP 0-9-1 sections 1.8.3.7 (basic.publish), 2.3.5 and 4.2.6.
"""

import struct

from codec.amqp import SHORT_MAX, encode_text
from consumer.amqp.frames import BODY, FRAME, HEADER, METHOD
from consumer.amqp.outgoing import Outgoing

_CONTENT_FRAME = struct.Struct(
    ">BHIHHQ"
)  # of the frame: kind, channel, length; of the content: class, weight, body size
_CONTENT_FIXED = 12  # bytes of class, weight and body size
_BASIC, _PUBLISH = 60, 40
_MANDATORY = b"\x01"
_END = b"\xce"
_OVERHEAD = 8  # of a frame
NAMES_MAX = 4096


class CannotEncode(ValueError):
    """AMQP, or the frame size of the connection, cannot hold the message."""


class PublishFrames:
    """Makes the frames of one channel. `frame_max`: the largest frame of the connection, in bytes; 0: no limit. `methods`: frames by exchange and routing key."""

    def __init__(self, channel: int, frame_max: int) -> None:
        self._channel = channel
        self._payload_max = (frame_max or 1 << 31) - _OVERHEAD
        self.methods: dict[tuple[str, str], bytes] = {}

    def of(self, message: Outgoing) -> list[bytes]:
        """Return the frames of a message, in pieces to be joined. Raises CannotEncode."""
        exchange, routing_key, header, body = message
        size, channel = len(body), self._channel
        length = _CONTENT_FIXED + len(header)
        if length > self._payload_max:
            raise CannotEncode(
                f"the content header has {len(header)} bytes, and a frame of this connection holds {self._payload_max - _CONTENT_FIXED}"
            )
        method = self.methods.get((exchange, routing_key)) or self._method(exchange, routing_key)
        content = _CONTENT_FRAME.pack(HEADER, channel, length, _BASIC, 0, size)
        if not size:
            return [method, content, header, _END]
        if size <= self._payload_max:
            return [method, content, header, _END, FRAME.pack(BODY, channel, size), body, _END]
        return [method, content, header, _END, *self._bodies(body)]

    def _bodies(self, body: bytes) -> list[bytes]:
        step, pieces = self._payload_max, []
        for at in range(0, len(body), step):
            piece = body[at : at + step]
            pieces += [FRAME.pack(BODY, self._channel, len(piece)), piece, _END]
        return pieces

    def _method(self, exchange: str, routing_key: str) -> bytes:
        """Return the frame of basic.publish. Most messages repeat the names of earlier ones."""
        if len(self.methods) >= NAMES_MAX:
            self.methods.clear()
        names = _short(exchange, "exchange") + _short(routing_key, "routing key")
        payload = struct.pack(">HHH", _BASIC, _PUBLISH, 0) + names + _MANDATORY
        frame = FRAME.pack(METHOD, self._channel, len(payload)) + payload + _END
        self.methods[exchange, routing_key] = frame
        return frame


def _short(text: str, what: str) -> bytes:
    raw = encode_text(text)
    if len(raw) > SHORT_MAX:
        raise CannotEncode(f"the {what} has {len(raw)} bytes, and AMQP allows {SHORT_MAX}")
    return bytes((len(raw),)) + raw
