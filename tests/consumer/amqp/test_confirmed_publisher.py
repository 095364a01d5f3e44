"""Tests with a real RabbitMQ."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

import pytest

from codec.amqp import Field, encode_header
from consumer.amqp import publish_link
from consumer.amqp.confirmed_publisher import ConfirmedPublisher
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Outcome, Settled, Window
from consumer.amqp.unconfirmed import NACKED
from consumer.demo.node import Node
from tests.support.nodes import NewNode
from tests.support.publishing import PERSISTENT, Outcomes, connected, plain, published
from tests.support.wire import WirePublisher

CONFIRMED, UNROUTABLE, REFUSED = Outcome.CONFIRMED, Outcome.UNROUTABLE, Outcome.REFUSED
BODY_MAX = 2000
COUNT = 20
CULPRIT = 5


@pytest.fixture(scope="module")
def node(new_node: NewNode) -> Iterator[Node]:
    """A node that accepts only small messages."""
    with new_node(extra_conf=f"max_message_size = {BODY_MAX}\n") as node:
        yield node


@pytest.fixture
def broker(node: Node) -> Iterator[WirePublisher]:
    publisher = WirePublisher(node.url)
    yield publisher
    publisher.close()


@pytest.fixture
def queue(broker: WirePublisher, name: str) -> Iterator[str]:
    broker.declare(name)
    yield name
    broker.delete(name)


def others(*culprits: int) -> list[int]:
    return [number for number in range(COUNT) if number not in culprits]


async def test_every_message_is_confirmed_once_and_is_in_the_queue(
    node: Node, queue: str, broker: WirePublisher
) -> None:
    outcomes = await published(node.url, plain(queue, 1000), Window(100))
    assert outcomes.of(CONFIRMED) == list(range(1000))
    assert broker.messages(queue)[0] == 1000
    assert broker.get(queue) == b"0"


async def test_header_and_body_reach_the_consumer_byte_for_byte(node: Node, queue: str) -> None:
    """A header that a library would encode otherwise. RabbitMQ 4 sorts headers by name, so these are sorted."""
    header = encode_header({"headers": (("a", Field("V", None)), ("b", Field("B", 7)), ("u", Field("u", 7)))})
    bodies = [b"", b"x", b"y" * BODY_MAX]
    await published(node.url, [Outgoing("", queue, header, body) for body in bodies])
    reader = WirePublisher(node.url)
    assert [reader.get_message(queue) for _ in bodies] == [(header, body) for body in bodies]
    reader.close()


async def test_a_body_of_several_frames_arrives_whole(url: str, name: str, publisher: WirePublisher) -> None:
    publisher.declare(name)
    body = bytes(range(256)) * 2000
    outcomes = await published(url, [Outgoing("", name, PERSISTENT, body)])
    assert outcomes.of(CONFIRMED) == [0]
    assert publisher.get(name) == body
    publisher.delete(name)


def with_properties(**properties: object) -> Outgoing:
    return Outgoing("", "any", encode_header(properties), b"bad")


REFUSALS = {
    "too large": (Outgoing("", "any", PERSISTENT, b"x" * (BODY_MAX + 1)), "max size 2000"),
    "another user": (with_properties(user_id="bob"), "user_id property set to 'bob'"),
    "a user id that the text does not name whole": (with_properties(user_id="u" * 255), "user_id property"),
    "an invalid expiration": (with_properties(expiration="soon"), "invalid expiration 'soon'"),
    "an exchange that is gone": (Outgoing("gone", "any", PERSISTENT, b""), "no exchange 'gone' in vhost '/'"),
    "an exchange that is not UTF-8": (Outgoing("caf\udce9", "any", PERSISTENT, b""), "no exchange 'caf"),
    "a header that is refused": (
        with_properties(headers=(("CC", Field("S", b"not an array")),)),
        "unacceptable_type_in_header",
    ),
    "a header of an unknown field type": (Outgoing("", "any", b"\x20\x00\x00\x00\x00\x04\x01aZZ", b""), ""),
    "a header that is cut short": (Outgoing("", "any", b"\x20", b""), ""),
    "a header that no frame holds": (
        with_properties(headers=(("a", Field("S", b"x" * 131_072)),)),
        "a frame of this connection holds",
    ),
    "a routing key that AMQP cannot hold": (Outgoing("", "k" * 256, PERSISTENT, b""), "AMQP allows 255"),
}


@pytest.mark.parametrize(("bad", "text"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_message_is_settled_alone_and_the_others_are_in_the_queue(
    node: Node, queue: str, broker: WirePublisher, bad: Outgoing, text: str
) -> None:
    """The broker closes the channel, or the connection, and forgets the confirms that it owes."""
    messages = plain(queue, COUNT)
    messages[CULPRIT] = bad
    outcomes = await published(node.url, messages)
    assert outcomes.of(REFUSED) == [CULPRIT]
    assert outcomes.of(CONFIRMED) == others(CULPRIT)
    assert text in outcomes.reason(CULPRIT)
    assert broker.bodies(queue) == {message.body for message in messages if message is not bad}


async def test_every_message_may_be_refused(node: Node) -> None:
    """One text names all of them, so that they are not tried one by one."""
    began = time.monotonic()
    outcomes = await published(node.url, [with_properties(user_id="bob")] * 4000)
    assert outcomes.of(REFUSED) == list(range(4000))
    assert time.monotonic() - began < 10


async def test_an_exchange_that_goes_away_stops_nothing_else(node: Node, queue: str, broker: WirePublisher) -> None:
    """Messages to two exchanges; one of them is deleted while messages for it are published."""
    broker.declare_exchange(f"{queue}-gone", "fanout")
    broker.declare_exchange(f"{queue}-stays", "fanout")
    for exchange in ("gone", "stays"):
        broker.bind(queue, f"{queue}-{exchange}", b"")
    outcomes, count = Outcomes(), 4000
    async with connected(node.url, outcomes, Window(500)) as publisher:
        for start in range(0, count, 100):
            if start == count // 2:
                broker.delete_exchange(f"{queue}-gone")
            exchanges = [f"{queue}-gone" if number % 2 else f"{queue}-stays" for number in range(start, start + 100)]
            await publisher.send(
                [(start + n, Outgoing(one, "", PERSISTENT, b"%d" % (start + n))) for n, one in enumerate(exchanges)]
            )
        await publisher.drain()
    broker.delete_exchange(f"{queue}-stays")
    refused = outcomes.of(REFUSED)
    assert set(range(0, count, 2)) <= set(outcomes.of(CONFIRMED))
    assert set(range(count // 2 + 1, count, 2)) <= set(refused)
    assert len(outcomes.by_number) == count
    assert {number % 2 for number in refused} == {1}
    assert outcomes.reason(count - 1) == f"NOT_FOUND - no exchange '{queue}-gone' in vhost '/'"
    assert {b"%d" % number for number in outcomes.of(CONFIRMED)} <= broker.bodies(queue)


@pytest.mark.parametrize(("write", "refused"), [("^amq.default$", [CULPRIT]), ("^amq.fanout$", others(CULPRIT))])
async def test_a_missing_permission_refuses_the_messages_of_its_exchange(
    node: Node, queue: str, broker: WirePublisher, write: str, refused: list[int]
) -> None:
    broker.bind(queue, "amq.fanout", b"")
    messages = plain(queue, COUNT)
    messages[CULPRIT] = Outgoing("amq.fanout", "", PERSISTENT, b"fanout")
    node.control("add_user", queue, "secret")
    node.control("set_permissions", queue, "", write, ".*")
    outcomes = await published(node.url.replace("guest:guest", f"{queue}:secret"), messages)
    node.control("delete_user", queue)
    assert outcomes.of(REFUSED) == refused
    assert len(outcomes.of(CONFIRMED)) == COUNT - len(refused)
    assert "ACCESS_REFUSED" in outcomes.reason(refused[0])


async def test_unroutable_messages_are_found_among_routable_ones(node: Node, queue: str) -> None:
    """Also those that are identical, and those whose header the broker sends back with other bytes."""
    blind_copy = encode_header({"headers": (("BCC", Field("A", (Field("S", b"nowhere"),))), ("a", Field("I", 5)))})
    messages = plain(queue, COUNT)
    bad = {3: PERSISTENT, 4: PERSISTENT, 9: blind_copy, 15: PERSISTENT}
    for number, header in bad.items():
        messages[number] = Outgoing("", "nowhere", header, b"the same")
    outcomes = await published(node.url, messages)
    assert outcomes.of(UNROUTABLE) == list(bad)
    assert outcomes.of(CONFIRMED) == others(*bad)
    assert outcomes.reason(9) == "312 NO_ROUTE: exchange '', routing key 'nowhere'"


async def test_a_full_queue_that_rejects_publishes_refuses(node: Node, name: str, broker: WirePublisher) -> None:
    overflow = b"\x0ax-overflowS\x00\x00\x00\x0ereject-publish"
    broker.declare(name, b"\x0cx-max-lengthI\x00\x00\x00\x05" + overflow)
    outcomes = await published(node.url, plain(name, COUNT), Window(1))
    assert outcomes.of(CONFIRMED) == list(range(5))
    assert outcomes.of(REFUSED) == list(range(5, COUNT))
    assert outcomes.reason(5) == NACKED
    broker.delete(name)


async def test_confirms_of_two_kinds_of_queues_come_out_of_order(node: Node, name: str, broker: WirePublisher) -> None:
    """A quorum queue confirms after it has written to disk, a queue without durability at once."""
    broker.declare(f"{name}-slow", b"\x0cx-queue-typeS\x00\x00\x00\x06quorum")
    broker.declare(f"{name}-fast", durable=False)
    order: list[int] = []
    outcomes = Outcomes()

    def take(settled: list[Settled]) -> None:
        order.extend(one.number for one in settled)
        outcomes.take(settled)

    async with ConfirmedPublisher(node.url, None, "test", take, Window(500)) as publisher:
        queues = [f"{name}-slow", f"{name}-fast"]
        await publisher.send([(n, Outgoing("", queues[n % 2], PERSISTENT, b"%d" % n)) for n in range(2000)])
        await publisher.drain()
    assert outcomes.of(CONFIRMED) == list(range(2000))
    assert order != sorted(order)
    for queue in queues:
        assert broker.messages(queue)[0] == 1000
        broker.delete(queue)


async def test_the_window_bounds_messages_and_bytes(node: Node, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes, most, written = Outcomes(), 0, 0
    write = publish_link.PublishLink.write

    async def count(link: publish_link.PublishLink, frames: bytes) -> None:
        nonlocal most, written
        written += frames.count(b"\x00\x3c\x00\x28\x00\x00\x00")
        most = max(most, written - len(outcomes.by_number))
        await write(link, frames)

    monkeypatch.setattr(publish_link.PublishLink, "write", count)
    async with connected(node.url, outcomes, Window(50, 1 << 20)) as publisher:
        await publisher.send(list(enumerate(plain(queue, 1000))))
        await publisher.drain()
        assert most == 50
        most = 0
    async with connected(node.url, outcomes, Window(50, 5000)) as publisher:
        await publisher.send([(n, Outgoing("", queue, PERSISTENT, b"x" * 1000)) for n in range(1000, 1100)])
        await publisher.drain()
    assert len(outcomes.of(CONFIRMED)) == 1100
    assert most <= 5


async def test_a_message_larger_than_the_window_is_published_alone(node: Node, queue: str) -> None:
    outcomes = await published(node.url, [Outgoing("", queue, PERSISTENT, b"x" * 500)] * 10, Window(50, 100))
    assert outcomes.of(CONFIRMED) == list(range(10))


async def test_a_cancelled_send_leaves_its_messages_unsettled(node: Node, queue: str) -> None:
    outcomes = Outcomes()
    async with connected(node.url, outcomes, Window(10)) as publisher:
        sending = asyncio.create_task(publisher.send(list(enumerate(plain(queue, 500)))))
        await asyncio.sleep(0)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        assert sorted([*publisher.unsettled, *outcomes.by_number]) == list(range(500))
        await publisher.drain()
    assert outcomes.of(CONFIRMED) == list(range(500))


async def test_the_connection_has_its_name(node: Node) -> None:
    async with connected(node.url, Outcomes()):
        shown = await asyncio.to_thread(node.control, "list_connections", "client_properties")
    assert '{"connection_name","test"}' in shown
