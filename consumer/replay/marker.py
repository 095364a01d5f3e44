"""The marker: a header that says from which position a message was published again, and by which run. Pure.

Invariant: the bytes of all other headers stay as they are. A message has one marker: an older one is replaced, and its count goes on.
"""

from codec.amqp import Field, decode_table, encode_table
from codec.errors import CodecError
from codec.header_parts import append_headers, edit_headers, headers_in
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.unconfirmed import MARKER_NAME
from consumer.replay.target import Unpublishable, unreadable

NAME = MARKER_NAME
_IN_BYTES = NAME.encode()
_BEGIN = bytes((len(_IN_BYTES),)) + _IN_BYTES + b"F"
_POSITION = b"\x08positionS"


class Marker:
    """Marks the messages of one run. The members of the marker: `position`, `run`, and `count`, how often the message was published again."""

    def __init__(self, run: str) -> None:
        self._run = encode_table((("run", Field("S", run.encode())),))[4:]
        self._first = self._run + _counted(1)

    def mark(self, message: Outgoing, position: str) -> Outgoing | Unpublishable:
        """The message with its marker. `position`: text form of the position of its event."""
        try:
            header, rest = message.header, self._first
            if _IN_BYTES in header:
                rest = self._run + _counted(_count(header) + 1)
                header = edit_headers(header, lambda name: name != NAME)
            at = position.encode()
            inner = b"".join((_POSITION, len(at).to_bytes(4, "big"), at, rest))
            marker = b"".join((_BEGIN, len(inner).to_bytes(4, "big"), inner))
            return Outgoing(message.exchange, message.routing_key, append_headers(header, marker), message.body)
        except CodecError as error:
            return unreadable(error)


def is_marked(header: bytes) -> bool:
    """Whether a message was published again before. False for a header that cannot be read."""
    try:
        return _IN_BYTES in header and any(pair.name == NAME for pair in headers_in(header))
    except CodecError:
        return False


def _counted(count: int) -> bytes:
    return encode_table((("count", Field("l", count)),))[4:]


def _count(header: bytes) -> int:
    """How often the message was published again before; 0 if it has no marker that this version understands. Raises CodecError."""
    for pair in headers_in(header):
        if pair.name == NAME and pair.field.kind == "F":
            table = decode_table(len(pair.field.value).to_bytes(4, "big") + pair.field.value)
            count = next((field.value for name, field in table if name == "count"), 0)
            return count if isinstance(count, int) and 0 <= count < 1 << 62 else 0
    return 0
