"""Tests with a real RabbitMQ."""

import asyncio

import aiormq
import pytest

from consumer.amqp.publish import IN_FLIGHT_MAX, Message, Publisher, Refused
from consumer.errors import Exit, Fatal, Retry
from tests.support.nodes import NewNode


async def test_published_messages_are_in_the_queue(url: str, name: str) -> None:
    count = IN_FLIGHT_MAX + 7
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name)
        async with Publisher(url) as publisher:
            assert await publisher.publish(Message("", name, b"%d" % n) for n in range(count)) == count
            assert (await channel.queue_declare(name, passive=True)).message_count == count
            first = await channel.basic_get(name)
            assert first.body == b"0"


async def test_many_messages_take_few_writes(url: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One write for each message woke up the broker each time. 500 messages took a second."""
    writes: list[int] = []
    write = asyncio.StreamWriter.write

    def count(writer: asyncio.StreamWriter, raw: bytes) -> None:
        writes.append(len(raw))
        write(writer, raw)

    async with aiormq.connect(url) as connection, Publisher(url) as publisher:
        channel = await connection.channel()
        await channel.queue_declare(name, auto_delete=True)
        monkeypatch.setattr(asyncio.StreamWriter, "write", count)
        await publisher.publish([Message("", name, b"x" * 100)] * 1000, mandatory=True)
        monkeypatch.undo()
        assert (await channel.queue_delete(name)).message_count == 1000
    assert len(writes) <= 20
    assert max(writes) < 1 << 20


async def test_a_cancelled_confirmation_does_not_count_as_confirmed(url: str) -> None:
    async with Publisher(url) as publisher:
        channel = publisher._channel
        assert channel is not None
        publishing = asyncio.create_task(publisher.publish([Message("", "no such queue", b"x" * (8 << 20))]))
        while not channel.confirmations:
            await asyncio.sleep(0)
        for confirmation in channel.confirmations.values():
            confirmation.cancel()
        with pytest.raises(Retry, match="before everything was confirmed"):
            await publishing


async def test_an_unroutable_mandatory_message_is_an_error(url: str) -> None:
    async with Publisher(url) as publisher:
        assert await publisher.publish([Message("", "no such queue", b"x")]) == 1
        with pytest.raises(Retry, match="NO_ROUTE: no queue accepts routing key 'no such queue'"):
            await publisher.publish([Message("", "no such queue", b"x")], mandatory=True)


async def test_the_error_of_a_closed_channel_has_the_reason_of_the_broker(url: str, name: str) -> None:
    """If the channel closed between two writes, the text was `<Channel: "1" at 0x7f90fd03ecb0> closed`."""
    async with Publisher(url) as publisher:
        for _ in range(2):
            with pytest.raises(Retry, match=f"NOT_FOUND - no exchange '{name}'"):
                await publisher.publish([Message(name, "", b"x")])


async def test_a_failed_publish_does_not_cancel_the_task(url: str) -> None:
    """On Python 3.11 a task group left a pending cancellation, which ended the command instead of the attempt."""
    async with Publisher(url) as publisher:
        with pytest.raises(Retry):
            await publisher.publish([Message("", "no such queue", b"x")] * (IN_FLIGHT_MAX + 7), mandatory=True)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize(("wrong", "exit"), [("guest:wrong@", Exit.ACCESS), ("guest:guest@", Exit.VHOST)])
async def test_a_failed_login_is_fatal_and_does_not_show_the_password(url: str, wrong: str, exit: Exit) -> None:
    target = url.replace("guest:guest@", wrong) + ("" if exit is Exit.ACCESS else "missing")
    with pytest.raises(Fatal) as caught:
        async with Publisher(target):
            pass
    assert caught.value.exit is exit
    assert "wrong" not in str(caught.value)


async def test_an_unreachable_broker_is_retried() -> None:
    with pytest.raises(Retry, match="amqp://me:"):
        async with Publisher("amqp://me:secret@127.0.0.1:1/"):
            pass


async def test_a_message_that_is_too_large_is_refused(new_node: NewNode) -> None:
    with new_node(extra_conf="max_message_size = 1000\n") as node:
        async with Publisher(node.url) as publisher:
            assert await publisher.publish([Message("", "any", b"x" * 1000)]) == 1
            with pytest.raises(Refused, match="larger than configured max size 1000"):
                await publisher.publish([Message("", "any", b"x" * size) for size in (5, 1001, 5)])


async def test_an_exclusive_queue_of_another_connection_is_found(url: str, name: str) -> None:
    async with aiormq.connect(url) as connection, Publisher(url) as publisher:
        channel = await connection.channel()
        with pytest.raises(Retry, match="no queue"):
            await publisher.find("", name)
        await channel.queue_declare(name, exclusive=True)
        await publisher.find("", name)
        await publisher.publish([Message("", name, b"x")], mandatory=True)
        assert (await channel.queue_delete(name)).message_count == 1


async def test_delete_removes_queue_and_exchange(url: str, name: str) -> None:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name)
        await channel.exchange_declare(name)
        async with Publisher(url) as publisher:
            await publisher.delete(name, name)
        await channel.exchange_declare(name, exchange_type="fanout")
        assert (await channel.queue_declare(name, auto_delete=True)).message_count == 0
