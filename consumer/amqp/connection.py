"""The broker: connection, topology, and generations of one consumer. The only module that consumes by the AMQP library.

Invariants: a generation is one channel of one connection; an acknowledgement for a generation that has ended is dropped,
because its messages come again; nothing is ever rejected, and what is not acknowledged when a generation ends
cleanly is given back by nack.
Sources: AMQP 0-9-1; RabbitMQ's guides "Consumer Acknowledgements", "Quorum Queues" and "Consumer Cancellation".
"""

import asyncio
import inspect
import ssl
import time
from collections.abc import Sequence
from importlib.metadata import version

import aio_pika
import aiormq
from aio_pika.abc import AbstractQueue, ConnectionParameter
from aiormq.abc import AbstractChannel as WireChannel
from aiormq.abc import DeliveredMessage
from yarl import URL

from consumer import log
from consumer.amqp import log_events
from consumer.amqp.ack import ack_frame
from consumer.amqp.declare import declare
from consumer.amqp.errors import LOST, connection_verdict, raise_if_ours, reason_of, translate_errors
from consumer.amqp.fallback import of_library
from consumer.amqp.receive import DeliveryReader, Sink, detached_reader
from consumer.amqp.tls import tls_context
from consumer.amqp.topology import Topology, without_password
from consumer.errors import DeedboxError, Exit, Retry

HEARTBEAT_S = 10  # a dead peer is noticed after three of them; the library's 60 would make it three minutes
CONNECT_S_MAX = 30.0
CLOSE_S_MAX = 5.0


class _DeliveryTransport:
    """Open connections whose reader keeps the deliveries for us: a `TransportFactory` of the library, by its shape."""

    def __init__(self, sink: Sink, context: ssl.SSLContext | None) -> None:
        self._sink, self._context = sink, context
        self.reader: DeliveryReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **_: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Called by the library to connect."""
        loop = asyncio.get_running_loop()
        reader = DeliveryReader(self._sink, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        name = url.host if self._context else None
        transport, _protocol = await loop.create_connection(
            lambda: protocol, url.host or "", url.port or 0, ssl=self._context, server_hostname=name
        )
        self.reader, self.writer = reader, asyncio.StreamWriter(transport, protocol, reader, loop)
        return self.reader, self.writer


def _takes_transport() -> bool:
    """Whether this version of the library lets us open its connections."""
    return "transport_factory" in inspect.signature(aiormq.Connection.__init__).parameters


class _Connection(aio_pika.Connection):
    PARAMETERS = (
        *aio_pika.Connection.PARAMETERS,
        ConnectionParameter(name="transport_factory", parser=lambda factory: factory, is_kwarg=True),
    )


class Session:
    """One generation: a channel with one consumer whose deliveries go to the sink."""

    def __init__(self, connection: _Connection, reader: DeliveryReader, sink: Sink, wire: WireChannel, queue: AbstractQueue, generation: int, topology: Topology) -> None:  # fmt: skip
        self.generation = generation
        self.queue = queue.name
        self.prefetch = 0
        self.delivery_limit = topology.delivery_limit
        self.messages_waiting = queue.declaration_result.message_count or 0
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.cancelled_by_broker = self.stalled = False
        self.released = False  # the broker has taken every acknowledgement of the session
        self.reader = reader
        self._connection, self._wire, self._sink = connection, wire, sink
        self.topology = topology
        self._tag = ""
        self._requests = 0
        self._one_request = asyncio.Lock()
        self._stopped = False
        self.writer: asyncio.StreamWriter | None = None  # None: acknowledge through the library
        wire.on_consumer_cancel_callbacks.add(self._on_broker_cancel)
        wire.closing.add_done_callback(self._on_closed)

    async def consume(self, prefetch: int) -> None:
        """Ask for deliveries, up to `prefetch` unacknowledged ones. A second time: with a wider window. After `stop`: nothing.

        Raises Retry or Fatal.
        """
        # One request at a time: between the cancel and the answer to consume, another request would make a second consumer.
        async with (
            self._one_request,
            translate_errors(Exit.QUEUE, f"queue {self.queue!r}"),
            asyncio.timeout(CONNECT_S_MAX),
        ):
            if prefetch <= self.prefetch:
                return  # the other request was for more
            await self._cancel()
            await self._wire.basic_qos(prefetch_count=prefetch)
            if self._stopped:
                return
            self._requests += 1
            self._tag = f"deedbox-{self._requests:06d}"  # known before the answer, so that `stop` need not wait for it
            self.prefetch = self.reader.window = prefetch
            arguments = dict(self.topology.consumer_arguments) or None
            await self._wire.basic_consume(self.queue, self._from_library, arguments=arguments, consumer_tag=self._tag)

    async def ack(self, tag: int) -> bool:
        """Acknowledge everything up to `tag`; False if the generation has ended, and the messages come again."""
        return await self._ack([tag], multiple=True)

    async def ack_each(self, tags: Sequence[int]) -> bool:
        """Acknowledge these and no others; False if the generation has ended, and the messages come again."""
        return await self._ack(tags, multiple=False)

    async def _ack(self, tags: Sequence[int], multiple: bool) -> bool:
        if self.ended.done():
            return False
        if self.writer is not None:
            if self.writer.is_closing():
                self.end("ack: the connection is closing")
                return False
            self.writer.write(b"".join([ack_frame(self._wire.number, tag, multiple) for tag in tags]))
            return True
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                for tag in tags:
                    await self._wire.basic_ack(tag, multiple=multiple, wait=False)
        except (*LOST, asyncio.CancelledError) as error:
            raise_if_ours(error)
            self.end(f"ack: {reason_of(error)}")
            return False
        return True

    async def stop(self) -> None:
        """Ask for no more deliveries. Those on their way still come; what was delivered stays ours to acknowledge."""
        self._stopped = True
        if not self.ended.done():
            try:
                async with asyncio.timeout(CLOSE_S_MAX):
                    await self._cancel()
            except (*LOST, asyncio.CancelledError) as error:
                raise_if_ours(error)
                self.end(f"cancel: {reason_of(error)}")

    async def _cancel(self) -> None:
        """Without waiting for an answer, which would stand behind a whole window of deliveries."""
        tag, self._tag = self._tag, ""
        if tag:
            await self._wire.basic_cancel(tag, nowait=True)

    async def release(self) -> None:
        """Give back by nack what is not acknowledged, and close. Never raises: a connection that is gone is closed.

        `released` is true afterwards if the broker has answered after the last acknowledgement.
        """
        await self.stop()
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                if alive := not self.ended.done():
                    # Tag 0 means all, and those on their way too. A quorum queue counts the return of a message, by
                    # nack as by a closed channel; the nack makes the messages ready without waiting for the close.
                    await self._wire.basic_nack(0, multiple=True, requeue=True)
                self.end("released")
                self.reader.resume()
                if alive:
                    # A channel answers in order: after this answer the acknowledgements that were sent have arrived.
                    await self._wire.basic_qos(prefetch_count=max(self.prefetch, 1))
                    self.released = True
                await self._connection.close()
        except (*LOST, asyncio.CancelledError) as error:
            raise_if_ours(error)
            self.end(f"release: {reason_of(error)}")

    async def messages_ready(self) -> int:
        """How many messages wait in the queue. Raises Retry."""
        async with translate_errors(Exit.QUEUE, f"queue {self.queue!r}"), asyncio.timeout(CONNECT_S_MAX):
            channel = self._connection.channel(publisher_confirms=False)
            await channel.initialize()
            try:
                declared = await channel.declare_queue(self.queue, passive=True)
                return declared.declaration_result.message_count or 0
            finally:
                await channel.close()

    async def _from_library(self, message: DeliveredMessage) -> None:
        """A delivery that came to the library, because it did not let us open its connection. Many times as slow."""
        self._sink([of_library(message, time.time_ns() // 1000)], False)

    def end(self, reason: str) -> None:
        """Nothing of this generation counts any more."""
        if not self.ended.done():
            self.ended.set_result(reason)

    def _on_broker_cancel(self, _frame: object) -> None:
        self.cancelled_by_broker = True
        self.end("the broker cancelled the consumer")

    def _on_closed(self, closing: "asyncio.Future[object]") -> None:
        error = None if closing.cancelled() else closing.exception()
        self.end(str(error) if error else "closed")


class Broker:
    """Opens generations."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self.shown = without_password(topology.url)
        self.generation = 0  # of the last session that was opened; 0 before the first

    async def open(self, sink: Sink) -> Session:
        """Connect and declare; `consume` of the session then makes the deliveries flow.

        Raises Fatal for what a person must mend, Retry for what time may.
        """
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                return await self._open(sink)
        except TimeoutError as error:
            raise Retry(f"{self.shown}: no answer within {CONNECT_S_MAX:.0f} s") from error

    async def _open(self, sink: Sink) -> Session:
        factory = _DeliveryTransport(sink, tls_context(self._topology))
        connection = await self._connect(factory)
        try:
            channel = connection.channel(publisher_confirms=False)
            await channel.initialize()
            queue = await declare(connection, channel, self._topology)
            wire = await channel.get_underlay_channel()
        except BaseException as error:
            await _close_quietly(connection)
            if isinstance(error, DeedboxError) or not isinstance(error, LOST):
                raise
            raise Retry(f"connection lost while declaring: {reason_of(error)}") from error
        self.generation += 1
        reader = factory.reader
        if reader is None:
            log.emit(log_events.RECEIVE_FALLBACK, library=f"aiormq {version('aiormq')}")
            reader = detached_reader(sink)
        session = Session(connection, reader, sink, wire, queue, self.generation, self._topology)
        session.writer = factory.writer
        return session

    async def _connect(self, factory: _DeliveryTransport) -> _Connection:
        url = URL(self._topology.url).update_query(heartbeat=HEARTBEAT_S, name=self._topology.name)
        extra = {"transport_factory": factory} if _takes_transport() else {"ssl_context": tls_context(self._topology)}
        connection = _Connection(url, **extra)
        try:
            await connection.connect()
        except LOST as error:
            raise connection_verdict(error, self._topology.url) from error
        return connection


async def _close_quietly(connection: _Connection) -> None:
    try:
        async with asyncio.timeout(CLOSE_S_MAX):
            await connection.close()
    except LOST:
        pass  # it is being given up because it does not work
