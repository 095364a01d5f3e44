"""Extract deliveries from the byte stream of a connection in one pass. Every other frame goes to the library unchanged.

Role: the AMQP library spends most of the time of a message on recognising frames. `Splitter` removes basic.deliver and its
content from the stream before the library reads it. It knows frames, but not the state of channels: every
basic.deliver of the connection is accepted, for any consumer.
Invariant: the library gets whole frames only, so Deedbox can insert a frame between two of them.
Source: AMQP 0-9-1 sections 2.3.5, 4.2.3 and 4.2.6.
"""

import asyncio
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from codec.amqp import decode_text
from consumer.amqp.delivery import Delivery
from consumer.amqp.frames import BODY, DELIVER, END, FRAME, HEADER, HEARTBEAT, METHOD
from consumer.amqp.read_gate import Pause, ReadGate, pause_between_reads_s
from consumer.amqp.split import Content, FrameSplitter

_TAG = struct.Struct(">QB")  # delivery tag, redelivered flag
_CONTENT_FRAME = struct.Struct(">BHI4xQ")  # of the frame: kind, channel, length; of the content: body size
NAMES_MAX = 4096
FULL_READ_BYTES = 1 << 16
WINDOW_MAX = 65_535  # basic.qos has 16 bits
KEEPALIVE_S = 1.0
Sink = Callable[[list[Delivery], bool], None]  # deliveries, and whether the read drained the socket
_unpack_frame = FRAME.unpack_from  # a method of an imported name is slower to call; called once a message
_new_delivery = tuple.__new__  # needs a third of the time of the named constructor; called once a message


def _deliver_struct(tag_size: int) -> struct.Struct:
    """Return the layout of a deliver frame up to its names: kind, channel, length, delivery tag, redelivered flag.

    `tag_size`: the length of the consumer tag in bytes.
    """
    return struct.Struct(f">BHI4x1x{tag_size}xQB")


class _Begun(NamedTuple):
    """A delivery whose content is not complete yet."""

    tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    content: Content


class Splitter(FrameSplitter):
    """Splits the bytes from the socket into deliveries and other frames."""

    def __init__(self) -> None:
        super().__init__()
        self._begun: dict[int, _Begun] = {}  # by channel
        self._names: dict[bytes, tuple[str, str]] = {}
        self._tag_size = 0
        self._deliver = _deliver_struct(0)
        self._found: list[Delivery] = []
        self._arrived_us = 0

    def feed(self, chunk: bytes, arrived_us: int) -> tuple[list[Delivery], bytes]:
        """Return the deliveries that are complete now, in order, and the bytes of the other complete frames."""
        self._found, self._arrived_us = [], arrived_us
        others = self.split(chunk)
        return self._found, others

    def take_run(self, data: bytes, at: int, size: int) -> int:
        """Extract deliveries that are complete and have a body of one frame. Return the offset after the last one.

        This is the fast path of nearly all messages: three unpackings and three slices a message.
        """
        names, unpack, tag_size = self._names, self._deliver.unpack_from, self._tag_size
        out, arrived_us, fixed = self._found, self._arrived_us, self._deliver.size
        while at + fixed + 26 <= size and data[at + 7 : at + 11] == DELIVER and data[at + 11] == tag_size:
            kind, channel, length, tag, redelivered = unpack(data, at)
            content = at + length + 8
            if kind != METHOD or content + 26 > size or data[content - 1] != END:
                break
            header_kind, same, length, body_size = _CONTENT_FRAME.unpack_from(data, content)
            body = content + length + 8
            after = body + body_size + 8
            if header_kind != HEADER or same != channel or not body_size or after > size:
                break
            # The sizes agree only if the body is one frame. Any other delivery is parsed by the slow path.
            if _unpack_frame(data, body) != (BODY, channel, body_size) or data[after - 1] != END:
                break
            raw = data[at + fixed : content - 1]
            exchange, routing_key = names.get(raw) or self._name(raw)
            header, content_body = data[content + 19 : body - 1], data[body + 7 : after - 1]
            fields = (tag, redelivered & 1 == 1, exchange, routing_key, header, content_body, arrived_us)
            out.append(_new_delivery(Delivery, fields))
            at = after
        return at

    def take_frame(self, kind: int, channel: int, frame: bytes) -> bytes:
        """Take a frame that belongs to a delivery."""
        payload = frame[7:-1]
        if kind == METHOD and payload[:4] == DELIVER:
            self._begun[channel] = self._begin(payload)
            return b""
        begun = self._begun.get(channel)
        if begun is None or kind not in (HEADER, BODY):
            return frame
        if begun.content.take(kind, payload):
            del self._begun[channel]
            tag, redelivered, exchange, routing_key, content = begun
            self._found.append(
                Delivery(tag, redelivered, exchange, routing_key, content.header, content.body, self._arrived_us)
            )
        return b""

    def _begin(self, payload: bytes) -> _Begun:
        if payload[4] != self._tag_size:
            # The fast path expects consumer tags of the length that was seen last.
            self._tag_size = payload[4]
            self._deliver = _deliver_struct(self._tag_size)
        at = 5 + payload[4]
        tag, redelivered = _TAG.unpack_from(payload, at)
        raw = payload[at + _TAG.size :]
        return _Begun(tag, redelivered & 1 == 1, *(self._names.get(raw) or self._name(raw)), Content())

    def _name(self, raw: bytes) -> tuple[str, str]:
        """Return exchange and routing key from their two short strings. Most messages repeat the names of earlier ones."""
        if len(self._names) >= NAMES_MAX:
            self._names.clear()
        middle = 1 + raw[0]
        names = decode_text(raw[1:middle]), decode_text(raw[middle + 1 : middle + 1 + raw[middle]])
        self._names[raw] = names
        return names


class DeliveryReader(asyncio.StreamReader):
    """The stream reader of the library's connection. It gives the deliveries to `sink`, and the other frames to the library.

    A broker sends messages one by one, and waking up for each of them costs more than archiving it. So a read that drained the
    socket is followed by a pause, unless messages are rare. Messages that arrive during the pause are read together.
    """

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._sink = sink
        self._clock = loop.time
        self._splitter = Splitter()
        self._last_keepalive = self._clock()
        self.window = WINDOW_MAX  # how many deliveries the broker sends before it needs an ack
        self.last_content = 0.0  # loop time at which the last part of a delivery arrived
        self._last_drained = 0.0
        self._ended = False
        self._gate = ReadGate()

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the connection is made."""
        assert isinstance(transport, asyncio.ReadTransport), "the transport of a stream can be read"
        super().set_transport(self._gate)
        self._gate.connect(transport)

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # the stub accepts more types than asyncio passes
        """Called by asyncio with the bytes of one read."""
        deliveries, others = self._splitter.feed(data, time.time_ns() // 1000)
        if others:
            super().feed_data(others)
        now = self._clock()
        if deliveries:
            drained = len(data) < FULL_READ_BYTES
            self._sink(deliveries, drained)
            if drained:
                self._pause_for(pause_between_reads_s((now - self._last_drained) / len(deliveries), self.window))
                self._last_drained = now
        if (
            deliveries or not others
        ):  # `not others`: a part of a large body, which also proves that the connection works
            self.last_content = now
            self.keepalive()

    def feed_eof(self) -> None:
        """Called by asyncio at the end of the stream."""
        self._ended = True
        super().feed_eof()

    def keepalive(self) -> None:
        """Give the library a heartbeat frame, at most once every KEEPALIVE_S seconds.

        While deliveries flow the broker sends no heartbeats, and the library does not see the deliveries. It would close the
        connection. While reading is paused, the caller must call this itself.
        """
        now = self._clock()
        if now - self._last_keepalive >= KEEPALIVE_S and not self._ended and not self._splitter.passthrough:
            self._last_keepalive = now
            super().feed_data(HEARTBEAT)

    def pause(self) -> None:
        """Stop reading the socket, so that the broker stops sending. The library can still read buffered bytes."""
        self._gate.pause(Pause.HELD_BYTES)

    def resume(self) -> None:
        """Read the socket again."""
        self._gate.resume(Pause.HELD_BYTES)

    def _pause_for(self, wait_s: float) -> None:
        if wait_s:
            self._gate.pause(Pause.BETWEEN_READS)
            asyncio.get_running_loop().call_later(wait_s, self._gate.resume, Pause.BETWEEN_READS)


def detached_reader(sink: Sink) -> DeliveryReader:
    """Return a reader without a connection. Used when the library delivers the messages: pause and keepalive do nothing."""
    reader = DeliveryReader(sink, asyncio.get_running_loop())
    reader.feed_eof()
    return reader
