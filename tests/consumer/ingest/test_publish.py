"""Against a real RabbitMQ."""

import aiormq

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


async def test_what_was_made_is_removed(url: str, name: str) -> None:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name)
        await channel.exchange_declare(name)
        async with Publisher(url) as publisher:
            await publisher.delete(name, name)
        await channel.exchange_declare(name, exchange_type="fanout")
        assert (await channel.queue_declare(name, auto_delete=True)).message_count == 0
