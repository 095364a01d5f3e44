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

from codec.amqp import text
from consumer.ingest.delivery import Delivery

_FRAME = struct.Struct(">BHI")
_METHOD, _HEADER, _BODY = 1, 2, 3
_KINDS = {_METHOD, _HEADER, _BODY, 4, 8}  # 8 is a heartbeat; 4 was one in 0-9
_END = 0xCE
_DELIVER = b"\x00\x3c\x00\x3c"  # class basic, method deliver
_TAG = struct.Struct(">QB")
_CONTENT = struct.Struct(">HHQ")  # class, weight, body size
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
NAMES_MAX = 4096


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
        self._names: dict[bytes, str] = {}
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
            if not self._take(kind, channel, data, at + 7, end - 1, arrived_us, deliveries):
                others.append(data[at:end])
            at = end
        self._rest = data[at:]
        return deliveries, b"".join(others)

    def _take(
        self, kind: int, channel: int, data: bytes, at: int, end: int, arrived_us: int, out: list[Delivery]
    ) -> bool:
        """Use the payload if it belongs to a delivery, and say whether it did."""
        if kind == _METHOD:
            if data[at : at + 4] != _DELIVER:
                return False
            self._partial[channel] = self._deliver(data, at + 4)
            return True
        partial = self._partial.get(channel)
        if partial is None or kind not in (_HEADER, _BODY):
            return False
        if kind == _HEADER:
            partial.missing = _CONTENT.unpack_from(data, at)[2]
            partial.header = data[at + _CONTENT.size : end]
        else:
            partial.pieces.append(data[at:end])
            partial.missing -= end - at
        if partial.missing == 0:
            del self._partial[channel]
            out.append(partial.delivery(arrived_us))
        return True

    def _deliver(self, data: bytes, at: int) -> _Partial:
        at += 1 + data[at]  # the consumer tag: one consumer a channel, so it says nothing
        tag, redelivered = _TAG.unpack_from(data, at)
        at += _TAG.size
        middle = at + 1 + data[at]
        exchange = self._name(data[at + 1 : middle])
        routing_key = self._name(data[middle + 1 : middle + 1 + data[middle]])
        return _Partial(tag, redelivered & 1 == 1, exchange, routing_key)

    def _name(self, raw: bytes) -> str:
        name = self._names.get(raw)
        if name is None:
            if len(self._names) >= NAMES_MAX:
                self._names.clear()
            name = self._names[raw] = text(raw)
        return name


Sink = Callable[[list[Delivery]], None]


class DeliveryReader(asyncio.StreamReader):
    """The stream reader that the library reads from: deliveries go to `sink` instead."""

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._sink = sink
        self._clock = loop.time
        self._splitter = Splitter()
        self._last_beat = self._clock()
        self.last_content = 0.0  # loop time at which a part of a delivery came
        self._ended = False
        self._socket: asyncio.ReadTransport | None = None

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Called by the protocol when the connection is made."""
        super().set_transport(transport)
        assert isinstance(transport, asyncio.ReadTransport), "a stream protocol reads"
        self._socket = transport

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # the stub is wider than the protocol that calls
        """Called by the protocol with what the socket gave."""
        deliveries, others = self._splitter.feed(data, time.time_ns() // 1000)
        if others:
            super().feed_data(others)
        if deliveries:
            self._sink(deliveries)
        if deliveries or not others:  # also a part of a large body: that connection lives
            self.last_content = self._clock()
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
        """Leave what comes in the socket, so that the broker stops sending."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.resume_reading()
