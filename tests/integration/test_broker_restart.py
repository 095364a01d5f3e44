"""The broker is killed and started again; connections are cut; nothing is lost."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from codec.amqp import encode_header
from consumer.demo.node import Node
from tests.support import archives
from tests.support.nodes import NewNode
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher


@pytest.fixture
def node(new_node: NewNode) -> Iterator[Node]:
    """A node of this test's own, to be killed."""
    with new_node() as started:
        yield started


def publish(url: str, exchange: str, first: int, count: int) -> None:
    publisher = WirePublisher(url)
    for serial in range(first, first + count):
        header = encode_header({"message_id": f"{serial:05d}", "delivery_mode": 2})
        publisher.publish(exchange.encode(), b"a", header, b"body %d" % serial)
    publisher.wait_for_confirms()
    publisher.close()


@pytest.mark.parametrize("queue_type", ["quorum", "classic"])
def test_a_broker_that_is_killed_and_started_again_loses_nothing(
    node: Node, name: str, tmp_path: Path, queue_type: str
) -> None:
    """First the broker is restarted as it should be: RabbitMQ 3.10 keeps the name of a new quorum queue in memory for
    minutes, and forgets the queue with all its messages when it is killed before."""
    directory = tmp_path / "archive"
    arguments = ("--url", node.url, "--queue", name, "--exchange", name, "--set", f"broker.queue_type={queue_type}")
    with Deedbox(directory, *arguments) as deedbox:
        for times, sign in ((1, signal.SIGTERM), (2, signal.SIGKILL)):
            deedbox.wait_for("consuming", times)
            publish(node.url, name, 500 * (times - 1), 500)
            node.stop(sign)
            node.start()
        deedbox.wait_for("consuming", 3)
        publish(node.url, name, 1000, 1000)
        deedbox.wait_until(lambda: len({event.id for event in archives.events(directory)}) == 2000, "all archived")
        assert deedbox.stop() == 0
    assert sorted(event.id for event in archives.unmarked(directory)) == [f"{n:05d}" for n in range(2000)]


def test_connections_that_are_cut_lose_and_double_nothing(node: Node, name: str, tmp_path: Path) -> None:
    directory = tmp_path / "archive"
    with Deedbox(directory, "--url", node.url, "--queue", name, "--exchange", name) as deedbox:
        deedbox.wait_for("consuming")
        for cut in range(1, 4):
            publish(node.url, name, 1000 * (cut - 1), 1000)
            node.control("close_all_connections", "test")
            deedbox.wait_for("consuming", cut + 1)
        deedbox.wait_until(lambda: len({event.id for event in archives.events(directory)}) == 3000, "all archived")
        assert deedbox.stop() == 0
    assert sorted(event.id for event in archives.unmarked(directory)) == [f"{n:05d}" for n in range(3000)]


def test_a_queue_that_is_deleted_is_declared_and_consumed_again(node: Node, name: str, tmp_path: Path) -> None:
    directory = tmp_path / "archive"
    with Deedbox(directory, "--url", node.url, "--queue", name, "--exchange", name) as deedbox:
        deedbox.wait_for("consuming")
        node.control("delete_queue", name)
        deedbox.wait_for("consumer_cancelled")
        deedbox.wait_for("consuming", 2)
        publish(node.url, name, 0, 10)
        deedbox.wait_until(lambda: archives.count(directory) == 10, "archived")
        assert deedbox.stop() == 0
