"""Against a real RabbitMQ."""

import asyncio

import aiormq
import pytest

from consumer.ingest.publish import IN_FLIGHT_MAX, Message, Publisher


async def test_what_publish_returns_is_in_the_queue(url: str, name: str) -> None:
    count = IN_FLIGHT_MAX + 7
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name)
        async with Publisher(url) as publisher:
            assert await publisher.publish(Message("", name, b"%d" % n) for n in range(count)) == count
            assert (await channel.queue_declare(name, passive=True)).message_count == count
            first = await channel.basic_get(name)
            assert first.body == b"0"


async def test_what_the_library_cancels_is_not_confirmed() -> None:
    class Closing:
        async def basic_publish(self, *_: object, **__: object) -> None:
            raise asyncio.CancelledError

    publisher = Publisher("amqp://nowhere/")
    publisher._channel = Closing()  # type: ignore[assignment]
    with pytest.raises(ConnectionError, match="before everything was confirmed"):
        await publisher.publish([Message("", "q", b"x")])


async def test_a_message_that_no_queue_takes_is_an_error_if_it_must_be_taken(url: str) -> None:
    async with Publisher(url) as publisher:
        assert await publisher.publish([Message("", "no such queue", b"x")]) == 1
        with pytest.raises(ExceptionGroup) as caught:
            await publisher.publish([Message("", "no such queue", b"x")], mandatory=True)
    assert isinstance(caught.value.exceptions[0], aiormq.AMQPError)


async def test_what_was_made_is_removed(url: str, name: str) -> None:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name)
        await channel.exchange_declare(name)
        async with Publisher(url) as publisher:
            await publisher.delete(name, name)
        await channel.exchange_declare(name, exchange_type="fanout")
        assert (await channel.queue_declare(name, auto_delete=True)).message_count == 0
