"""`Session`: one channel with one consumer, from its opening to its end.

Invariants: a message is never rejected. When a session ends cleanly, it returns every unacknowledged message by nack. An ack
for a session that has ended is dropped, because the broker delivers its messages again.
Sources: AMQP 0-9-1; the RabbitMQ guides "Consumer Acknowledgements", "Quorum Queues" and "Consumer Cancellation".
"""

import asyncio
import time
from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

from aio_pika.abc import AbstractConnection, AbstractQueue
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.commands import Basic

from consumer.amqp.delivery import Delivery
from consumer.amqp.errors import LOST, raise_if_cancelled, reason_of, translate_errors
from consumer.amqp.frames import ack_frame
from consumer.amqp.receive import DeliveryReader, Sink
from consumer.amqp.topology import Topology
from consumer.errors import Exit

ANSWER_S_MAX = 30.0
CLOSE_S_MAX = 5.0


class EndCause(Enum):
    """Why a session ended."""

    LOST = auto()  # the connection or the channel failed
    CANCELLED = auto()  # the broker cancelled the consumer
    STALLED = auto()  # messages wait and none is delivered
    RELEASED = auto()  # Deedbox closed it


class SessionEnd(NamedTuple):
    """How a session ended. `reason`: a text for the log."""

    cause: EndCause
    reason: str


class QueueCounts(NamedTuple):
    """What the broker reports of a queue. `ready`: messages that no consumer holds.

    If the leader of a quorum queue does not answer within 250 ms, RabbitMQ reports 0 for both (`rabbit_quorum_queue:stat`).
    """

    ready: int
    consumers: int


class Session:
    """A channel with one consumer. Its deliveries go to `sink`.

    `number` counts the sessions of a `Broker` from 1; the log calls it the generation.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        reader: DeliveryReader,
        sink: Sink,
        channel: AbstractChannel,
        queue: AbstractQueue,
        number: int,
        topology: Topology,
    ) -> None:
        self.number = number
        self.queue = queue.name
        self.prefetch = 0
        self.delivery_limit = topology.delivery_limit
        self.messages_waiting = queue.declaration_result.message_count or 0
        self.ended: asyncio.Future[SessionEnd] = asyncio.get_running_loop().create_future()
        self.acks_arrived = False  # after `release`: the broker has processed every ack of the session
        self.reader = reader
        self.topology = topology
        self.writer: asyncio.StreamWriter | None = None  # None: send acks through the library
        self._connection, self._channel, self._sink = connection, channel, sink
        self._tag = ""
        self._requests = 0
        self._one_request = asyncio.Lock()
        self._stopped = False
        channel.on_consumer_cancel_callbacks.add(self._on_broker_cancel)
        channel.closing.add_done_callback(self._on_closed)

    async def consume(self, prefetch: int) -> None:
        """Start to consume with up to `prefetch` unacknowledged deliveries, or increase this number. After `stop`: do nothing.

        Raises Retry or Fatal.
        """
        # One request at a time: a second request between basic.cancel and basic.consume would create a second consumer.
        async with (
            self._one_request,
            translate_errors(Exit.QUEUE, f"queue {self.queue!r}"),
            asyncio.timeout(ANSWER_S_MAX),
        ):
            if prefetch <= self.prefetch:
                return  # another request asked for more
            await self._cancel()
            await self._channel.basic_qos(prefetch_count=prefetch)
            if self._stopped:
                return
            self._requests += 1
            self._tag = (
                f"deedbox-{self._requests:06d}"  # chosen here, so that `stop` can cancel before the broker answers
            )
            self.prefetch = self.reader.window = prefetch
            arguments = dict(self.topology.consumer_arguments) or None
            await self._channel.basic_consume(
                self.queue, self._on_library_delivery, arguments=arguments, consumer_tag=self._tag
            )

    async def ack(self, tag: int) -> bool:
        """Acknowledge all deliveries up to and including `tag`. Return False if the session has ended: they are delivered again."""
        return await self._ack([tag], multiple=True)

    async def ack_each(self, tags: Sequence[int]) -> bool:
        """Acknowledge exactly these deliveries. Return False if the session has ended: they are delivered again."""
        return await self._ack(tags, multiple=False)

    async def _ack(self, tags: Sequence[int], multiple: bool) -> bool:
        if self.ended.done():
            return False
        if self.writer is not None:
            if self.writer.is_closing():
                self.end(EndCause.LOST, "ack: the connection is closing")
                return False
            self.writer.write(b"".join([ack_frame(self._channel.number, tag, multiple) for tag in tags]))
            return True
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                for tag in tags:
                    await self._channel.basic_ack(tag, multiple=multiple, wait=False)
        except (*LOST, asyncio.CancelledError) as error:
            raise_if_cancelled(error)
            self.end(EndCause.LOST, f"ack: {reason_of(error)}")
            return False
        return True

    async def stop(self) -> None:
        """Ask for no more deliveries. Deliveries on their way still arrive, and all can still be acknowledged."""
        self._stopped = True
        if not self.ended.done():
            try:
                async with asyncio.timeout(CLOSE_S_MAX):
                    await self._cancel()
            except (*LOST, asyncio.CancelledError) as error:
                raise_if_cancelled(error)
                self.end(EndCause.LOST, f"cancel: {reason_of(error)}")

    async def finish(self) -> None:
        """Cancel the consumer and wait for the answer. No delivery follows the answer on the channel. Raises Retry or Fatal."""
        self._stopped = True
        async with (
            self._one_request,
            translate_errors(Exit.QUEUE, f"queue {self.queue!r}"),
            asyncio.timeout(ANSWER_S_MAX),
        ):
            tag, self._tag = self._tag, ""
            if tag:
                await self._channel.basic_cancel(tag)

    async def _cancel(self) -> None:
        """Cancel the consumer without waiting for the answer, which arrives only after a full window of deliveries."""
        tag, self._tag = self._tag, ""
        if tag:
            await self._channel.basic_cancel(tag, nowait=True)

    async def release(self) -> None:
        """Return the unacknowledged messages by nack and close the connection. Never raises for a lost connection.

        Afterwards `acks_arrived` is true if the broker has answered after the last ack.
        """
        await self.stop()
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                if alive := not self.ended.done():
                    # Tag 0 means all deliveries, also those on their way. A quorum queue counts a return by nack like a
                    # return by a closed channel. The nack makes the messages ready at once.
                    await self._channel.basic_nack(0, multiple=True, requeue=True)
                self.end(EndCause.RELEASED, "released")
                self.reader.resume()
                if alive:
                    # A channel processes its frames in order. After this answer the broker has processed the acks too.
                    await self._channel.basic_qos(prefetch_count=max(self.prefetch, 1))
                    self.acks_arrived = True
                await self._connection.close()
        except (*LOST, asyncio.CancelledError) as error:
            raise_if_cancelled(error)
            self.end(EndCause.LOST, f"release: {reason_of(error)}")

    async def messages_ready(self) -> int:
        """Return how many messages wait in the queue. Raises Retry or Fatal."""
        return (await self.counts()).ready

    async def counts(self) -> QueueCounts:
        """Return how many messages wait in the queue, and how many consumers it has. Raises Retry or Fatal."""
        async with translate_errors(Exit.QUEUE, f"queue {self.queue!r}"), asyncio.timeout(ANSWER_S_MAX):
            channel = self._connection.channel(publisher_confirms=False)
            await channel.initialize()
            try:
                result = (await channel.declare_queue(self.queue, passive=True)).declaration_result
                return QueueCounts(result.message_count or 0, result.consumer_count or 0)
            finally:
                await channel.close()

    def end(self, cause: EndCause, reason: str) -> None:
        """Record the end of the session. Only the first call counts."""
        if not self.ended.done():
            self.ended.set_result(SessionEnd(cause, reason))

    async def _on_library_delivery(self, message: DeliveredMessage) -> None:
        """Take a delivery from the library. Used only if the library does not accept our transport; many times slower."""
        self._sink([_decoded_by_library(message, time.time_ns() // 1000)], False)

    def _on_broker_cancel(self, _frame: object) -> None:
        self.end(EndCause.CANCELLED, "the broker cancelled the consumer")

    def _on_closed(self, closing: "asyncio.Future[object]") -> None:
        error = None if closing.cancelled() else closing.exception()
        self.end(EndCause.LOST, str(error) if error else "closed")


def _decoded_by_library(message: DeliveredMessage, arrived_us: int) -> Delivery:
    """Convert a message that the library has decoded.

    Its header is encoded again. It has the same meaning, and the same bytes as far as the library can represent them.
    """
    deliver = message.delivery
    assert isinstance(deliver, Basic.Deliver), "a consumer gets basic.deliver"
    return Delivery(
        int(deliver.delivery_tag or 0), bool(deliver.redelivered), deliver.exchange or "", deliver.routing_key or "",
        message.header.properties.marshal(), message.body, arrived_us,
    )  # fmt: skip
