"""Other clients: one small program each, written as their documentation shows.

usage: python -m tests.bench.peers NAME URL QUEUE MESSAGES DIRECTORY
prints: seconds and CPU seconds from the first consume to the last acknowledgement
"""

import asyncio
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

PREFETCH, ACK_EVERY = 4000, 1000


_began: list[float] = []


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def begin() -> None:
    """Call it after connecting and before consuming: the rate does not include imports and the connection."""
    _began[:] = [time.monotonic(), cpu()]


async def aio_pika_drain(
    url: str, queue_name: str, messages: int, _: Path, on_message: Callable[..., Awaitable[None]] | None = None
) -> None:
    """aio-pika: a callback a message, multiple acks, nothing stored."""
    import aio_pika

    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.get_queue(queue_name)
    done = asyncio.Event()
    seen = 0

    async def count(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        nonlocal seen
        seen += 1
        if seen % ACK_EVERY == 0 or seen == messages:
            await message.ack(multiple=True)
        if seen == messages:
            done.set()

    begin()
    await queue.consume(on_message or count)
    await done.wait()
    await connection.close()


async def obvious_archiver(url: str, queue_name: str, messages: int, directory: Path) -> None:
    """aio-pika: write and fsync a message, then ack it."""
    import aio_pika

    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.get_queue(queue_name)
    seen = 0
    with (directory / "obvious").open("wb", buffering=0) as file:
        begin()
        async with queue.iterator() as found:
            async for message in found:
                file.write(message.body + b"\n")
                os.fsync(file.fileno())
                await message.ack()
                seen += 1
                if seen == messages:
                    break
    await connection.close()


async def batching_archiver(url: str, queue_name: str, messages: int, directory: Path) -> None:
    """aio-pika: collect a thousand, write and fdatasync them in a thread, ack them together."""
    import aio_pika

    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.get_queue(queue_name)
    waiting: asyncio.Queue[aio_pika.abc.AbstractIncomingMessage] = asyncio.Queue()
    begin()
    await queue.consume(waiting.put)
    seen = 0
    with (directory / "batching").open("wb", buffering=0) as file:
        while seen < messages:
            batch = [await waiting.get()]
            while len(batch) < min(ACK_EVERY, messages - seen):
                batch.append(await waiting.get())

            def store(batch: list[aio_pika.abc.AbstractIncomingMessage] = batch) -> None:
                file.write(b"\n".join(message.body for message in batch) + b"\n")
                os.fdatasync(file.fileno())

            await asyncio.to_thread(store)
            await batch[-1].ack(multiple=True)
            seen += len(batch)
    await connection.close()


async def faststream_drain(url: str, queue_name: str, messages: int, _: Path) -> None:
    """FastStream: a subscriber on raw bytes, acked by the framework."""
    from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

    broker = RabbitBroker(url, default_channel=Channel(prefetch_count=PREFETCH), logger=None)
    done = asyncio.Event()
    seen = 0

    @broker.subscriber(RabbitQueue(queue_name, declare=False))
    async def count(_body: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen == messages:
            done.set()

    async with broker:
        begin()
        await broker.start()
        await done.wait()


def pika_drain(url: str, queue_name: str, messages: int, _: Path) -> None:
    """pika: the blocking connection with a callback, multiple acks."""
    import pika

    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=PREFETCH)
    seen = 0

    def count(channel, method, _properties, _body) -> None:
        nonlocal seen
        seen += 1
        if seen % ACK_EVERY == 0 or seen == messages:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if seen == messages:
            channel.stop_consuming()

    begin()
    channel.basic_consume(queue_name, count)
    channel.start_consuming()
    connection.close()


def kombu_drain(url: str, queue_name: str, messages: int, _: Path) -> None:
    """kombu over py-amqp, multiple acks."""
    from kombu import Connection, Consumer, Queue

    with Connection(url) as connection, connection.channel() as channel:
        channel.basic_qos(0, PREFETCH, False)
        seen = 0

        def count(message) -> None:
            nonlocal seen
            seen += 1
            if seen % ACK_EVERY == 0 or seen == messages:
                message.ack(multiple=True)

        begin()
        with Consumer(channel, queues=[Queue(queue_name, no_declare=True)], on_message=count):
            while seen < messages:
                connection.drain_events()


PEERS = {
    "aio-pika": aio_pika_drain,
    "pika": pika_drain,
    "kombu": kombu_drain,
    "FastStream": faststream_drain,
    "write+fsync a message": obvious_archiver,
    "aio-pika, batches of 1000": batching_archiver,
}


def main() -> None:
    name, url, queue, messages, directory = sys.argv[1:]
    peer = PEERS[name]
    if asyncio.iscoroutinefunction(peer):
        asyncio.run(peer(url, queue, int(messages), Path(directory)))
    else:
        peer(url, queue, int(messages), Path(directory))
    began, used = _began
    print(f"{time.monotonic() - began:.6f} {cpu() - used:.6f}")


if __name__ == "__main__":
    main()
