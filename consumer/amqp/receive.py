"""Deliveries out of the byte stream of a connection, in one pass; every other frame goes on untouched.

Role: the AMQP library spends most of a message's cost on finding out what a frame is. `Splitter` takes basic.deliver and
its content out of the stream before the library sees it. It knows frames and nothing of channels' rules: whoever set
up the consumer has decided that its deliveries come here. Invariant: what is passed on is whole frames only, so
a frame of our own may be put between.
Source: AMQP 0-9-1 sections 2.3.5, 4.2.3 and 4.2.6.
"""

import asyncio
import struct
import time
from collections.abc import Callable

from codec.amqp import decode_text
from consumer.amqp.delivery import Delivery
from consumer.amqp.read_gate import Gate, rest_s

_FRAME = struct.Struct(">BHI")
_METHOD, _HEADER, _BODY = 1, 2, 3
_KINDS = {_METHOD, _HEADER, _BODY, 4, 8}  # 8 is a heartbeat; 4 was one in 0-9
_END = 0xCE
_DELIVER = b"\x00\x3c\x00\x3c"  # class basic, method deliver
_TAG = struct.Struct(">QB")
_CONTENT_FRAME = struct.Struct(">BHI4xQ")  # the frame's header and the content's: kind, channel, length, body size
_CONTENT = struct.Struct(">HHQ")  # class, weight, body size
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
NAMES_MAX = 4096
_new_delivery = tuple.__new__  # a third of the time of the named constructor, once a message


def _deliver_struct(tag_size: int) -> struct.Struct:
    """Kind, channel, length, delivery tag and redelivered flag of a deliver frame with a consumer tag of this size."""
    return struct.Struct(f">BHI4x1x{tag_size}xQB")


class _Partial:
    """A delivery whose content has not come in whole."""

    __slots__ = ("exchange", "header", "missing", "pieces", "redelivered", "routing_key", "tag")

    def __init__(self, tag: int, redelivered: bool, exchange: str, routing_key: str) -> None:
        self.tag, self.redelivered, self.exchange, self.routing_key = tag, redelivered, exchange, routing_key
        self.header = b""
        self.missing = -1  # unknown until the content header came
        self.pieces: list[bytes] = []

    def delivery(self, arrived_us: int) -> Delivery:
        body = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        return Delivery(self.tag, self.redelivered, self.exchange, self.routing_key, self.header, body, arrived_us)


class Splitter:
    """Feed it what the socket gives; it gives deliveries, and the bytes that are somebody else's."""

    def __init__(self) -> None:
        self._rest = b""
        self._partial: dict[int, _Partial] = {}
        self._names: dict[bytes, tuple[str, str]] = {}
        self._tag_size = 0
        self._deliver = _deliver_struct(0)
        self.transparent = False

    def feed(self, chunk: bytes, arrived_us: int) -> tuple[list[Delivery], bytes]:
        """Deliveries that are whole now, in order, and the other frames that are."""
        data = self._rest + chunk if self._rest else bytes(chunk)
        if self.transparent:
            return [], data
        deliveries: list[Delivery] = []
        others: list[bytes] = []
        at, size = 0, len(data)
        while size - at >= 8:
            after = self._whole(data, at, size, arrived_us, deliveries)
            if after > at:
                at = after
                continue
            kind, channel, length = _FRAME.unpack_from(data, at)
            end = at + length + 8
            if kind not in _KINDS or (end <= size and data[end - 1] != _END):
                # Not AMQP frames, or not any more: the library says so better than we can.
                self.transparent = True
                others.append(data[at:])
                at = size
                break
            if end > size:
                break
            if not self._take(kind, channel, data[at + 7 : end - 1], arrived_us, deliveries):
                others.append(data[at:end])
            at = end
        self._rest = data[at:]
        return deliveries, b"".join(others)

    def _whole(self, data: bytes, at: int, size: int, arrived_us: int, out: list[Delivery]) -> int:
        """Take deliveries that are all here, with a body of one frame, as long as there are; gives where they end.

        This runs for every message, and nearly all take this way: three unpackings and three slices a message.
        """
        names, unpack, tag_size = self._names, self._deliver.unpack_from, self._tag_size
        fixed = self._deliver.size
        while at + fixed + 26 <= size and data[at + 7 : at + 11] == _DELIVER and data[at + 11] == tag_size:
            kind, channel, length, tag, redelivered = unpack(data, at)
            content = at + length + 8
            if kind != _METHOD or content + 26 > size or data[content - 1] != _END:
                break
            header_kind, same, length, body_size = _CONTENT_FRAME.unpack_from(data, content)
            body = content + length + 8
            after = body + body_size + 8
            if header_kind != _HEADER or same != channel or not body_size or after > size:
                break
            # Only with a body of one frame do all sizes agree; any other goes the long way.
            if _FRAME.unpack_from(data, body) != (_BODY, channel, body_size) or data[after - 1] != _END:
                break
            raw = data[at + fixed : content - 1]
            exchange, routing_key = names.get(raw) or self._name(raw)
            header, text = data[content + 19 : body - 1], data[body + 7 : after - 1]
            fields = (tag, redelivered & 1 == 1, exchange, routing_key, header, text, arrived_us)
            out.append(_new_delivery(Delivery, fields))
            at = after
        return at

    def _take(self, kind: int, channel: int, payload: bytes, arrived_us: int, out: list[Delivery]) -> bool:
        """Use a payload if it belongs to a delivery, and say whether it did."""
        if kind == _METHOD:
            if payload[:4] != _DELIVER:
                return False
            self._begin(channel, payload)
            return True
        return self._content(kind, channel, payload, arrived_us, out)

    def _begin(self, channel: int, payload: bytes) -> None:
        if payload[4] != self._tag_size:
            # The consumer tag has one length for the life of a consumer: the short way expects it.
            self._tag_size = payload[4]
            self._deliver = _deliver_struct(self._tag_size)
        at = 5 + payload[4]
        tag, redelivered = _TAG.unpack_from(payload, at)
        raw = payload[at + _TAG.size :]
        exchange, routing_key = self._names.get(raw) or self._name(raw)
        self._partial[channel] = _Partial(tag, redelivered & 1 == 1, exchange, routing_key)

    def _content(self, kind: int, channel: int, payload: bytes, arrived_us: int, out: list[Delivery]) -> bool:
        """Use the payload if it belongs to a delivery that has begun, and say whether it did."""
        partial = self._partial.get(channel)
        if partial is None or kind not in (_HEADER, _BODY):
            return False
        if kind == _HEADER:
            partial.missing = _CONTENT.unpack_from(payload)[2]
            partial.header = payload[_CONTENT.size :]
        else:
            partial.pieces.append(payload)
            partial.missing -= len(payload)
        if partial.missing == 0:
            del self._partial[channel]
            out.append(partial.delivery(arrived_us))
        return True

    def _name(self, raw: bytes) -> tuple[str, str]:
        """Exchange and routing key of two short strings; the same ones come again and again."""
        if len(self._names) >= NAMES_MAX:
            self._names.clear()
        middle = 1 + raw[0]
        names = decode_text(raw[1:middle]), decode_text(raw[middle + 1 : middle + 1 + raw[middle]])
        self._names[raw] = names
        return names


Sink = Callable[[list[Delivery], bool], None]  # deliveries, and whether the socket held no more
FULL_READ_BYTES = 1 << 16
WINDOW_MAX = 65_535  # basic.qos has 16 bits


class DeliveryReader(asyncio.StreamReader):
    """The stream reader that the library reads from: deliveries go to `sink` instead.

    A read that drained the socket is followed by a rest, unless messages are rare: a broker sends message by message, and to be woken for each of
    them costs more than to archive it. What comes meanwhile waits in the socket and is read together.
    """

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._sink = sink
        self._clock = loop.time
        self._splitter = Splitter()
        self._last_beat = self._clock()
        self.window = WINDOW_MAX  # how many deliveries the broker sends before the first ack
        self.last_content = 0.0  # loop time at which a part of a delivery came
        self._last_drained = 0.0
        self._ended = False
        self._gate = Gate()

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Called by the protocol when the connection is made."""
        assert isinstance(transport, asyncio.ReadTransport), "a stream protocol reads"
        super().set_transport(self._gate)
        self._gate.connect(transport)

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # the stub is wider than the protocol that calls
        """Called by the protocol with what the socket gave."""
        deliveries, others = self._splitter.feed(data, time.time_ns() // 1000)
        if others:
            super().feed_data(others)
        now = self._clock()
        if deliveries:
            drained = len(data) < FULL_READ_BYTES
            self._sink(deliveries, drained)
            if drained:
                self._rest(rest_s((now - self._last_drained) / len(deliveries), self.window))
                self._last_drained = now
        if deliveries or not others:  # also a part of a large body: that connection lives
            self.last_content = now
            self.beat()

    def feed_eof(self) -> None:
        """Called by the protocol when nothing more will come."""
        self._ended = True
        super().feed_eof()

    def beat(self) -> None:
        """Show the library a sign of life, once a second at most: while deliveries flow, the broker sends no
        heartbeats, and the library counts only frames that it sees. To be called too while reading is paused."""
        now = self._clock()
        if now - self._last_beat >= 1.0 and not self._ended and not self._splitter.transparent:
            self._last_beat = now
            super().feed_data(HEARTBEAT)

    def pause(self) -> None:
        """Leave what comes in the socket, so that the broker stops sending. The library may go on reading from us."""
        self._gate.stop("bound")

    def resume(self) -> None:
        """Read again."""
        self._gate.allow("bound")

    def _rest(self, wait_s: float) -> None:
        if wait_s:
            self._gate.stop("rest")
            asyncio.get_running_loop().call_later(wait_s, self._gate.allow, "rest")


def detached_reader(sink: Sink) -> DeliveryReader:
    """A reader of no connection, for deliveries that come another way: nothing to pause, nothing to keep alive."""
    reader = DeliveryReader(sink, asyncio.get_running_loop())
    reader.feed_eof()
    return reader
