"""Create or check the exchange, the queue and its bindings, and log which of them were created.

The broker does not report whether a declaration created something. So each object is looked up before it is declared. The
look-up uses a channel of its own, because the broker closes the channel if the object does not exist.
Source: AMQP 0-9-1 sections 1.6.2.1 and 1.7.2.1 (`passive`).
"""

import aiormq
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue

from consumer import log
from consumer.amqp import log_events
from consumer.amqp.errors import translate_errors
from consumer.amqp.topology import Declare, Topology
from consumer.errors import Exit


async def declare(connection: AbstractConnection, channel: AbstractChannel, topology: Topology) -> AbstractQueue:
    """Declare the topology on `channel`, and log the result. Raises Fatal or Retry."""
    created = []
    if topology.exchange:
        if topology.declare == Declare.ALL and not await _exists(connection, exchange=topology.exchange):
            created.append("exchange")
        await _declare_exchange(channel, topology)
    if topology.declare != Declare.NONE and not await _exists(connection, queue=topology.queue):
        created.append("queue")
    queue = await _declare_queue(channel, topology)
    for key in topology.bindings:
        async with translate_errors(Exit.EXCHANGE, f"binding to exchange {topology.exchange!r}"):
            await queue.bind(topology.exchange, key, arguments=dict(topology.binding_arguments) or None)
    result = queue.declaration_result
    log.emit(
        log_events.DECLARED, queue=queue.name, exchange=topology.exchange, bindings=list(topology.bindings), created=created,
        messages=result.message_count or 0, consumers=result.consumer_count or 0,
    )  # fmt: skip
    if "queue" in created and not topology.exchange:
        log.emit(log_events.UNBOUND, queue=queue.name)
    return queue


async def _exists(connection: AbstractConnection, queue: str = "", exchange: str = "") -> bool:
    """Return whether the object exists. Any error except "not found" counts as yes: the declaration then reports it."""
    async with translate_errors(Exit.QUEUE, f"queue {queue!r}" if queue else f"exchange {exchange!r}"):
        channel = connection.channel(publisher_confirms=False)
        await channel.initialize()
        try:
            if queue:
                await channel.declare_queue(queue, passive=True)
            else:
                await channel.declare_exchange(exchange, passive=True)
        except aiormq.exceptions.ChannelNotFoundEntity:
            return False
        except aiormq.exceptions.ChannelClosed:
            return True
        await channel.close()
        return True


async def _declare_exchange(channel: AbstractChannel, topology: Topology) -> None:
    async with translate_errors(Exit.EXCHANGE, f"exchange {topology.exchange!r}"):
        await channel.declare_exchange(
            topology.exchange, topology.exchange_type, durable=True, passive=topology.declare != Declare.ALL,
            arguments=dict(topology.exchange_arguments) or None,
        )  # fmt: skip


async def _declare_queue(channel: AbstractChannel, topology: Topology) -> AbstractQueue:
    async with translate_errors(Exit.QUEUE, f"queue {topology.queue!r}"):
        return await channel.declare_queue(
            topology.queue, durable=True, passive=topology.declare == Declare.NONE,
            arguments=topology.all_queue_arguments() or None,
        )  # fmt: skip
