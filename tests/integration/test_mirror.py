"""The stage `[replay]`: two real brokers, the service as a process, the other broker read by another archive."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from codec.event import Event
from codec.header_parts import edit_headers, headers_in
from codec.stable import stable_header
from consumer.demo.node import Node
from consumer.errors import Exit
from consumer.replay.marker import NAME
from tests.integration.test_kill import Feed
from tests.integration.test_until_empty import status, until_empty
from tests.support import archives
from tests.support.messages import Sent, messages
from tests.support.nodes import NewNode
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

QUORUM = b"\x0cx-queue-typeS\0\0\0\x06quorum"
Identity = tuple[str, bytes, bytes]


@pytest.fixture
def node(new_node: NewNode) -> Iterator[Node]:
    """The other broker."""
    with new_node() as made:
        yield made


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def bound(other: str, name: str, key: bytes = b"#") -> None:
    """An exchange and a queue at the other broker."""
    there = WirePublisher(other)
    there.declare_exchange(name)
    there.declare(name, QUORUM)
    there.bind(name, name, key)
    there.close()


def ready(other: str, queue: str) -> int:
    there = WirePublisher(other)
    try:
        return there.messages(queue)[0]
    finally:
        there.close()


def mirroring(directory: Path, url: str, name: str, other: str, *arguments: str, instance: str = "one") -> Deedbox:
    return Deedbox(
        directory, "--url", url, "--queue", name, "--exchange", name, "--instance", instance, "--set", f"replay.url={other}",
        "--set", "service.stats_s=0.5", *arguments, log=directory.parent / f"{instance}.log",
    )  # fmt: skip


def without_marker(event: Event) -> bytes:
    return stable_header(edit_headers(event.header, lambda name: name != NAME))


def identity(event: Event) -> Identity:
    return event.routing_key, without_marker(event), event.body


def sent_as(sent: list[Sent]) -> Counter[Identity]:
    return Counter(
        (message.key.decode("utf-8", "surrogateescape"), stable_header(message.header), message.body)
        for message in sent
    )


def drained(tmp_path: Path, other: str, queue: str) -> list[Event]:
    """What the queue at the other broker has, through an archive of its own."""
    directory = tmp_path / f"other-{time.monotonic_ns()}"
    with until_empty(directory, other, queue) as running:
        assert status(running) == Exit.OK
    return archives.events(directory)


def publish(url: str, exchange: str, sent: list[Sent]) -> None:
    publisher = WirePublisher(url)
    for index, message in enumerate(sent):
        publisher.publish(exchange.encode(), *message)
        if index % 100 == 0:
            publisher.wait_for_confirms(behind=1000)
    publisher.wait_for_confirms()
    publisher.close()


def test_an_exchange_is_mirrored_byte_for_byte_with_a_marker(
    url: str, name: str, node: Node, directory: Path, tmp_path: Path
) -> None:
    bound(node.url, name)
    sent = list(messages(2000, seed=1))
    with mirroring(directory, url, name, node.url) as running:
        running.wait_for("mirroring")
        publish(url, name, sent)
        running.wait_until(lambda: ready(node.url, name) == len(sent), "all are mirrored")
        running.wait_until(lambda: running.lines("stats")[-1].get("replay") == "publishing, 0 behind", "no lag")
        assert running.stop() == 0
        assert running.lines("mirror_stopped")[0]["published"] == len(sent)
    found = drained(tmp_path, node.url, name)
    assert Counter(map(identity, found)) == sent_as(sent)
    assert {event.exchange for event in found} == {name}
    markers = [[pair for pair in headers_in(event.header) if pair.name == NAME] for event in found]
    assert {len(marker) for marker in markers} == {1}


def test_the_other_broker_may_be_away_and_is_caught_up(
    url: str, name: str, node: Node, directory: Path, tmp_path: Path
) -> None:
    """Killed in the middle, started again; and it does not run when the service starts."""
    bound(node.url, name)
    sent = list(messages(6000, seed=2))
    with mirroring(directory, url, name, node.url) as running:
        running.wait_for("mirroring")
        feed = Feed(url, name, sent, per_s=1000)
        feed.start()
        running.wait_until(lambda: ready(node.url, name) > 500, "some are mirrored")
        node.stop()
        running.wait_for("mirror_connect_failed")
        feed.finish()
        running.wait_until(lambda: archives.count(directory) == len(sent), "all are archived meanwhile")
        running.kill()
        running.start()
        running.wait_for("mirror_connect_failed", len(running.lines("mirror_connect_failed")) + 1)
        node.start()
        running.wait_until(lambda: ready(node.url, name) >= len(sent), "all are mirrored")
        running.wait_until(lambda: running.lines("stats")[-1].get("replay") == "publishing, 0 behind", "no lag")
        assert running.stop() == 0
    found = drained(tmp_path, node.url, name)
    assert set(map(identity, found)) == sent_as(sent).keys()
    assert len(found) - len(sent) <= 2 * 2000  # of each interruption, at most what was not confirmed
