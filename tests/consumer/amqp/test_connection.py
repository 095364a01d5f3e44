"""Tests with a real RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import aiormq
import pytest

from codec.stable import stable_header
from consumer.amqp import connection as brokers
from consumer.amqp import session as sessions
from consumer.amqp.connection import Broker
from consumer.amqp.delivery import Delivery
from consumer.amqp.publish import Message, Publisher
from consumer.amqp.session import EndCause, Session
from consumer.amqp.topology import Declare, Topology
from consumer.demo.relay import Relay
from consumer.errors import Exit, Fatal, Retry


class Taken(list[Delivery]):
    """A list of deliveries that a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Event()

    def sink(self, deliveries: list[Delivery], _drained: bool) -> None:
        self.extend(deliveries)
        self._changed.set()

    async def until(self, count: int) -> "Taken":
        async with asyncio.timeout(20):
            while len(self) < count:
                self._changed.clear()
                await self._changed.wait()
        return self


@pytest.fixture
async def taken() -> Taken:
    return Taken()


@pytest.fixture
def topology(url: str, name: str) -> Topology:
    return Topology(url, name, exchange=name, declare=Declare.ALL)


Open = Callable[[Topology], Awaitable[Session]]


@pytest.fixture
async def opened(taken: Taken) -> AsyncIterator[Open]:
    sessions: list[Session] = []

    async def open_session(topology: Topology) -> Session:
        sessions.append(await Broker(topology).open(taken.sink))
        return sessions[-1]

    yield open_session
    for session in sessions:
        await session.release()


async def publish(topology: Topology, count: int, key: str = "a.b") -> None:
    async with Publisher(topology.url) as publisher:
        await publisher.publish(Message(topology.exchange, key, b"%d" % n, {"delivery_mode": 2}) for n in range(count))


async def ready(url: str, queue: str) -> int:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        return (await channel.queue_declare(queue, passive=True)).message_count or 0


async def consumers(url: str, queue: str) -> int:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        return (await channel.queue_declare(queue, passive=True)).consumer_count or 0


async def test_concurrent_requests_leave_one_consumer_with_the_largest_prefetch(
    opened: Open, topology: Topology
) -> None:
    session = await opened(topology)
    await session.consume(1)
    await asyncio.gather(*(session.consume(prefetch) for prefetch in (2, 8, 4)))
    await session.messages_ready()  # after this answer the broker has processed the cancels
    assert (await consumers(topology.url, topology.queue), session.prefetch) == (1, 8)


async def test_a_stop_during_a_consume_request_leaves_no_consumer(opened: Open, topology: Topology) -> None:
    left, steps, done = [], 0, False
    while not done:
        session = await opened(topology)
        asking = asyncio.create_task(session.consume(1))
        for _ in range(steps):
            await asyncio.sleep(0)
        done = asking.done()
        await session.stop()
        await asking
        await session._channel.basic_qos(prefetch_count=1)  # after this answer the broker has processed the cancel
        left.append(await consumers(topology.url, topology.queue))
        await session.release()
        steps += 1 + steps // 2
    assert len(left) > 3
    assert set(left) == {0}


@pytest.mark.parametrize("queue_type", ["quorum", "classic"])
@pytest.mark.parametrize("exchange_type", ["topic", "fanout", "direct", "headers"])
async def test_deliveries_of_every_exchange_and_queue_type_arrive_in_order(
    opened: Open, taken: Taken, topology: Topology, queue_type: str, exchange_type: str
) -> None:
    keys = ("a.b",) if exchange_type == "direct" else ("#",)
    topology = replace(topology, queue_type=queue_type, exchange_type=exchange_type, binding_keys=keys)
    session = await opened(topology)
    await session.consume(10)
    await publish(topology, 5)
    await taken.until(5)
    assert [(found.exchange, found.routing_key, found.body, found.tag) for found in taken] == [
        (topology.exchange, "a.b", b"%d" % n, n + 1) for n in range(5)
    ]
    assert await session.ack(5)


async def test_no_more_than_the_prefetch_is_unacknowledged(opened: Open, taken: Taken, topology: Topology) -> None:
    session = await opened(topology)
    await publish(topology, 10)
    await session.consume(3)
    await taken.until(3)
    assert await session.messages_ready() == 7
    await session.ack(2)
    await taken.until(5)
    assert [found.body for found in taken] == [b"%d" % n for n in range(5)]


async def test_the_prefetch_can_be_increased_on_the_same_channel(
    opened: Open, taken: Taken, topology: Topology
) -> None:
    session = await opened(topology)
    await publish(topology, 10)
    await session.consume(2)
    await taken.until(2)
    await session.consume(10)
    await taken.until(10)
    assert [found.tag for found in taken] == list(range(1, 11))
    assert await session.ack(10)
    assert session.prefetch == 10


async def test_release_returns_unacknowledged_messages(opened: Open, taken: Taken, topology: Topology) -> None:
    session = await opened(topology)
    await publish(topology, 4)
    await session.consume(10)
    await taken.until(4)
    await session.ack(1)
    await session.release()
    assert await ready(topology.url, topology.queue) == 3


async def test_after_a_release_it_is_known_whether_the_acks_arrived(
    taken: Taken, topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an answer of the broker it is not known."""
    monkeypatch.setattr(sessions, "CLOSE_S_MAX", 1.0)
    with Relay(topology.url) as relay:
        for muted in (True, False):
            session = await Broker(replace(topology, url=relay.url)).open(taken.sink)
            await session.consume(10)
            await publish(topology, 1)
            await taken.until(1)
            if muted:
                relay.mute()
            assert await session.ack(taken.pop().tag)
            await session.release()
            assert session.acks_arrived is not muted
            relay.cut()


async def test_after_stop_no_message_arrives_and_earlier_ones_can_be_acknowledged(
    opened: Open, taken: Taken, topology: Topology
) -> None:
    session = await opened(topology)
    await publish(topology, 2)
    await session.consume(10)
    await taken.until(2)
    await session.stop()
    await publish(topology, 3)
    assert await session.ack(2)
    await session.release()
    assert (len(taken), await ready(topology.url, topology.queue)) == (2, 3)


async def test_deleting_the_queue_ends_the_session(opened: Open, topology: Topology) -> None:
    """The library handles basic.cancel silently: it only removes the consumer from a dict."""
    session = await opened(topology)
    await session.consume(10)
    async with aiormq.connect(topology.url) as connection:
        await (await connection.channel()).queue_delete(topology.queue)
    assert (await asyncio.wait_for(session.ended, 20)).cause is EndCause.CANCELLED
    assert not await session.ack(1)


async def test_an_ack_for_a_closed_connection_is_dropped(opened: Open, taken: Taken, topology: Topology) -> None:
    session = await opened(topology)
    await publish(topology, 1)
    await session.consume(10)
    await taken.until(1)
    await session._connection.close()
    await asyncio.wait_for(asyncio.shield(session.ended), 20)
    assert not await session.ack(1)
    again = await opened(topology)
    await again.consume(10)
    await taken.until(2)
    assert taken[1].redelivered


async def test_sessions_are_numbered_from_one(taken: Taken, topology: Topology) -> None:
    broker = Broker(topology)
    for number in (1, 2):
        session = await broker.open(taken.sink)
        assert session.number == broker.sessions == number
        await session.release()


async def fatal(topology: Topology) -> Fatal:
    with pytest.raises(Fatal) as caught:
        await Broker(topology).open(lambda _: None)
    return caught.value


async def test_a_wrong_password_is_fatal(topology: Topology) -> None:
    found = await fatal(replace(topology, url=topology.url.replace("guest:guest", "guest:wrong")))
    assert found.exit is Exit.ACCESS
    assert "refuses user 'guest'" in found.what
    assert "wrong" not in str(found)


async def test_an_unknown_virtual_host_is_fatal(topology: Topology) -> None:
    found = await fatal(replace(topology, url=topology.url + "nowhere"))
    assert (found.exit, "'nowhere'" in found.what) == (Exit.VHOST, True)


async def test_a_queue_with_other_arguments_is_fatal(opened: Open, topology: Topology) -> None:
    await opened(topology)
    found = await fatal(replace(topology, queue_type="classic"))
    assert found.exit is Exit.QUEUE
    assert "x-queue-type" in found.what
    assert "broker.declare: `none`" in found.do


async def test_an_exchange_of_another_type_is_fatal(opened: Open, topology: Topology) -> None:
    await opened(topology)
    found = await fatal(replace(topology, exchange_type="fanout"))
    assert found.exit is Exit.EXCHANGE
    assert "received 'fanout' but current is 'topic'" in found.what


async def test_an_unknown_exchange_type_is_fatal(topology: Topology) -> None:
    found = await fatal(replace(topology, exchange_type="nonsense"))
    assert (found.exit, "nonsense" in found.what) == (Exit.EXCHANGE, True)


async def test_without_declarations_a_missing_queue_is_fatal(topology: Topology) -> None:
    found = await fatal(replace(topology, declare=Declare.NONE, exchange=""))
    assert (found.exit, "broker.declare = queue" in found.do) == (Exit.MISSING, True)


async def test_without_declarations_the_queue_may_have_any_arguments(
    opened: Open, taken: Taken, topology: Topology
) -> None:
    """The arguments of the queue are not compared."""
    await opened(replace(topology, queue_arguments={"x-max-length": 1000}))
    session = await opened(replace(topology, declare=Declare.NONE, queue_type="classic"))
    await session.consume(5)
    await publish(topology, 1)
    await taken.until(1)


async def test_a_reserved_name_is_refused(topology: Topology) -> None:
    found = await fatal(replace(topology, queue=f"amq.{topology.queue}", exchange=""))
    assert found.exit is Exit.ACCESS


async def test_an_unreachable_broker_is_retried(topology: Topology) -> None:
    with pytest.raises(Retry, match="Connect call failed"):
        await Broker(replace(topology, url="amqp://guest:guest@127.0.0.1:1/")).open(lambda _: None)


async def test_a_server_that_is_no_broker_is_retried() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Retry):
        await Broker(Topology(f"amqp://127.0.0.1:{port}/", "q")).open(lambda _: None)
    server.close()
    await server.wait_closed()


async def test_a_missing_tls_file_is_a_settings_error(topology: Topology) -> None:
    found = await fatal(replace(topology, url="amqps://127.0.0.1/", ca_file="/nowhere"))
    assert (found.exit, "broker.ca_file" in found.do) == (Exit.SETTINGS, True)


async def test_the_fallback_through_the_library_gives_equal_deliveries(
    opened: Open, taken: Taken, topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the library changes its interface, Deedbox is slower and loses nothing."""
    logged: list[str] = []
    monkeypatch.setattr(brokers.log, "emit", lambda event, **_: logged.append(event.name))
    session = await opened(topology)
    await session.consume(10)
    properties = {"delivery_mode": 2, "message_id": "m", "headers": {"a": [1, "two", {"b": True}]}}
    async with Publisher(topology.url) as publisher:
        await publisher.publish(
            [Message(topology.exchange, "a.b", b"x" * 300_000, properties), Message(topology.exchange, "c", b"")]
        )
    await taken.until(2)
    await session.release()
    assert "receive_fallback" not in logged
    monkeypatch.setattr(brokers, "library_accepts_transport", lambda: False)
    other = Taken()
    again = await Broker(topology).open(other.sink)
    await again.consume(10)
    await other.until(2)
    assert "receive_fallback" in logged
    for mine, theirs in zip(taken, other, strict=True):
        assert stable_header(mine.header) == stable_header(theirs.header)
        changes = {"header": b"", "arrived_us": 0, "redelivered": False}
        assert mine._replace(**changes) == theirs._replace(**changes)
    assert await again.ack(2)
    again.reader.pause()
    again.reader.keepalive()
    await again.release()
