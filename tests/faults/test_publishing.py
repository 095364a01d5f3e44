"""The broker is killed, has an alarm, or closes the connection while messages are published."""

import asyncio
import signal
import time
from collections.abc import Sequence

import pytest

from consumer.amqp import publish_link
from consumer.amqp.confirmed_publisher import ConfirmedPublisher
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Numbered, Outcome, Window
from consumer.demo.node import Node
from consumer.errors import Retry
from tests.support.nodes import NewNode
from tests.support.publishing import PERSISTENT, Outcomes, connected, plain
from tests.support.wire import WirePublisher

COUNT = 3000


async def test_a_killed_broker_loses_nothing_that_was_confirmed(new_node: NewNode, name: str) -> None:
    """What is not settled is known exactly. Sent again, it completes the queue."""
    outcomes, messages = Outcomes(), list(enumerate(plain(name, COUNT)))
    with new_node() as node:
        publisher = WirePublisher(node.url)
        publisher.declare(name)
        publisher.close()
        async with connected(node.url, outcomes, Window(300)) as sender:
            killing = asyncio.create_task(_kill_after(node, outcomes, COUNT // 3))
            with pytest.raises(Retry, match=r"amqp://guest:\*\*\*@127.0.0.1"):
                await _send_all(sender, messages)
            await killing
            with pytest.raises(Retry):
                await sender.drain()
            left = sender.unsettled
        given = max([*left, *outcomes.by_number]) + 1
        assert left == sorted(set(range(given)) - set(outcomes.by_number))
        assert 0 < len(left) <= 400
        node.start()
        async with connected(node.url, outcomes) as sender:
            await _send_all(sender, [messages[number] for number in [*left, *range(given, COUNT)]])
        assert outcomes.of(Outcome.CONFIRMED) == list(range(COUNT))
        publisher = WirePublisher(node.url)
        assert publisher.bodies(name) == {message.body for _, message in messages}
        publisher.close()


async def _kill_after(node: Node, outcomes: Outcomes, count: int) -> None:
    while len(outcomes.by_number) < count:
        await asyncio.sleep(0.001)
    await asyncio.to_thread(node.stop, signal.SIGKILL)


async def _send_all(sender: ConfirmedPublisher, messages: Sequence[Numbered]) -> None:
    for start in range(0, len(messages), 100):
        await sender.send(messages[start : start + 100])
    await sender.drain()


async def test_a_connection_that_an_operator_closes_is_retried(new_node: NewNode, name: str) -> None:
    """It is not the fault of a message."""
    outcomes = Outcomes()
    with new_node() as node:
        async with connected(node.url, outcomes) as publisher:
            await _send_all(publisher, [(0, plain(name, 1)[0])])
            await asyncio.to_thread(node.control, "close_all_connections", "maintenance")
            with pytest.raises(Retry, match="CONNECTION_FORCED - maintenance"):
                await _send_all(publisher, [(1, plain(name, 1)[0])])
            assert publisher.unsettled == [1]


@pytest.fixture
def short_heartbeats(monkeypatch: pytest.MonkeyPatch) -> float:
    """The library closes a connection after three seconds in which it sees no frame."""
    monkeypatch.setattr(publish_link, "HEARTBEAT_S", 1)
    return 4.0


async def test_a_memory_alarm_stops_publishing_and_its_end_goes_on(
    new_node: NewNode, name: str, short_heartbeats: float
) -> None:
    """The broker reads nothing while it lasts, which is longer than the time after which the library gives up."""
    outcomes = Outcomes()
    with new_node() as node:
        publisher = WirePublisher(node.url)
        publisher.declare(name)
        async with connected(node.url, outcomes, Window(10_000, 64 << 20)) as sender:
            await asyncio.to_thread(node.control, "set_vm_memory_high_watermark", "0.000001")
            body = b"x" * 20_000
            sending = asyncio.create_task(sender.send([(n, Outgoing("", name, PERSISTENT, body)) for n in range(2000)]))
            while not sender.blocked:
                await asyncio.sleep(0.01)
            assert sender.blocked == "low on memory"
            await asyncio.sleep(short_heartbeats)
            assert not sending.done(), "the socket takes no more"
            assert sender.blocked
            await asyncio.to_thread(node.control, "set_vm_memory_high_watermark", "absolute", "1GB")
            await sending
            await sender.drain()
            assert sender.blocked == ""
        assert outcomes.of(Outcome.CONFIRMED) == list(range(2000))
        assert publisher.messages(name)[0] == 2000
        await _close_while_blocked(node, name)
        publisher.close()


async def _close_while_blocked(node: Node, queue: str) -> None:
    """The broker would not answer the end of the connection."""
    async with connected(node.url, Outcomes()) as sender:
        await asyncio.to_thread(node.control, "set_vm_memory_high_watermark", "0.000001")
        await sender.send([(0, plain(queue, 1)[0])])
        while not sender.blocked:
            await asyncio.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < publish_link.CLOSE_S_MAX


async def test_heartbeats_survive_constant_publishing(
    url: str, publisher: WirePublisher, name: str, short_heartbeats: float
) -> None:
    """While confirms flow the broker sends no heartbeats, and the library does not see the confirms."""
    publisher.declare(name)
    outcomes, number = Outcomes(), 0
    messages = plain(name, 50)
    ends = time.monotonic() + short_heartbeats
    async with connected(url, outcomes, Window(100)) as sender:
        while time.monotonic() < ends:
            await sender.send([(number + n, message) for n, message in enumerate(messages)])
            number += len(messages)
        await sender.drain()
    assert outcomes.of(Outcome.CONFIRMED) == list(range(number))
    publisher.delete(name)


async def test_an_idle_connection_stays_open(url: str, name: str, short_heartbeats: float) -> None:
    outcomes = Outcomes()
    async with connected(url, outcomes) as sender:
        await asyncio.sleep(short_heartbeats)
        await _send_all(sender, [(0, plain(name, 1)[0])])
    assert outcomes.of(Outcome.UNROUTABLE) == [0]
