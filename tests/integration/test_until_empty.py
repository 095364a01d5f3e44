"""`run --until-empty` on the real broker: it ends when the queue is empty, and not before."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consumer.archive.checking.verify import verify
from consumer.errors import Exit
from tests.integration.test_kill import Feed, identity, of_event
from tests.support import archives
from tests.support.messages import Sent, messages
from tests.support.nodes import NewNode
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

MESSAGES = 20_000
QUORUM = b"\x0cx-queue-typeS\0\0\0\x06quorum"
SINGLE_ACTIVE = b"\x18x-single-active-consumert\x01"
PRIORITIES = b"\x0ex-max-priorityB\x05"
QUEUES = {"classic": b"", "quorum": QUORUM, "priorities": PRIORITIES}
END_S = 60.0


def until_empty(directory: Path, url: str, queue: str, *arguments: str) -> Deedbox:
    return Deedbox(directory, "--url", url, "--queue", queue, "--instance", "one", "--until-empty", *arguments)


def status(running: Deedbox) -> int:
    """Wait for the end."""
    assert running.process is not None
    try:
        return running.process.wait(END_S)
    except subprocess.TimeoutExpired:
        raise AssertionError(running.log.read_text()[-3000:]) from None


def fill(publisher: WirePublisher, queue: str, sent: list[Sent]) -> None:
    """Publish through the default exchange."""
    for index, message in enumerate(sent):
        publisher.publish(b"", queue.encode(), message.header, message.body)
        if index % 100 == 0:
            publisher.wait_for_confirms(behind=1000)
    publisher.wait_for_confirms()


def wanted(queue: str, sent: list[Sent]) -> Counter[tuple[str, bytes, bytes]]:
    return Counter(identity(queue, message.header, message.body) for message in sent)


def unmarked(directory: Path) -> Counter[tuple[str, bytes, bytes]]:
    return Counter(of_event(event) for event in archives.unmarked(directory))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.mark.parametrize("kind", QUEUES)
def test_everything_is_archived_through_two_kills_and_the_queue_is_empty(
    url: str, name: str, publisher: WirePublisher, directory: Path, kind: str
) -> None:
    publisher.declare(name, QUEUES[kind])
    sent = list(messages(MESSAGES, seed=13))
    fill(publisher, name, sent)
    with until_empty(directory, url, name, "--set", "batch.count=500") as running:
        for kill in (1, 2):
            running.wait_until(lambda kill=kill: archives.count(directory) > 2000 * kill, "some are archived")
            running.kill()
            running.start()
        assert status(running) == Exit.OK
        assert running.lines("emptied")[0]["queue"] == name
    assert publisher.messages(name) == (0, 0)
    assert unmarked(directory) == wanted(name, sent)
    assert {verdict.state for verdict in verify([directory])} == {"sealed"}
    assert [fault for verdict in verify([directory]) for fault in verdict.faults] == []


def test_an_empty_queue_ends_the_run_at_once(url: str, name: str, publisher: WirePublisher, directory: Path) -> None:
    publisher.declare(name, QUORUM)
    with until_empty(directory, url, name) as running:
        assert status(running) == Exit.OK
        assert [line["event"] for line in running.lines()][-2:] == ["emptied", "stopped"]
        assert running.lines("emptied")[0]["archived"] == 0
    assert archives.count(directory) == 0


def test_a_queue_that_does_not_exist_is_an_error_and_is_not_created(
    url: str, name: str, publisher: WirePublisher, directory: Path
) -> None:
    publisher.declare_exchange(name)
    for _ in range(2):  # the first run has not created it
        with until_empty(directory, url, name, "--exchange", name) as running:
            assert status(running) == Exit.MISSING
    assert "creates no queue" in str(running.lines("failed")[-1]["do"])


def test_nothing_is_declared_or_bound(url: str, name: str, publisher: WirePublisher, directory: Path) -> None:
    """The settings of the service may name an exchange and another type; then nothing new may come into the queue."""
    publisher.declare(name)
    publisher.declare_exchange(name)
    fill(publisher, name, list(messages(10, seed=1)))
    with until_empty(directory, url, name, "--exchange", name, "--set", "broker.queue_type=quorum") as running:
        assert status(running) == Exit.OK
    publisher.publish(name.encode(), b"a", b"\0\0", b"not bound")
    publisher.wait_for_confirms()
    assert (archives.count(directory), publisher.messages(name)) == (10, (0, 0))


@pytest.fixture
def other(url: str) -> Iterator[WirePublisher]:
    made = WirePublisher(url)
    yield made
    made.close()


@pytest.mark.parametrize("kind", QUEUES)
def test_messages_that_another_consumer_holds_are_not_awaited(
    url: str, name: str, publisher: WirePublisher, other: WirePublisher, directory: Path, kind: str
) -> None:
    publisher.declare(name, QUEUES[kind])
    sent = list(messages(1000, seed=2))
    fill(publisher, name, sent)
    for _ in range(7):
        other.get(name)
    with until_empty(directory, url, name) as running:
        assert status(running) == Exit.OK
    assert archives.count(directory) == 993
    other.close()
    wait_until(lambda: publisher.messages(name)[0] == 7)
    with until_empty(directory, url, name) as running:
        assert status(running) == Exit.OK
    assert unmarked(directory) == wanted(name, sent)


def wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + END_S
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_publishers_that_go_on_do_not_keep_it_running(
    url: str, name: str, publisher: WirePublisher, directory: Path
) -> None:
    publisher.declare(name, QUORUM)
    publisher.declare_exchange(name)
    publisher.bind(name, name, b"#")
    sent = list(messages(3000, seed=3))
    feed = Feed(url, name, sent, per_s=200)
    feed.start()
    wait_until(lambda: publisher.messages(name)[0] > 100)
    with until_empty(directory, url, name) as running:
        assert status(running) == Exit.OK
    assert feed.is_alive()
    feed.finish()
    archived = archives.count(directory)
    assert (archived > 100, publisher.messages(name)) == (True, (3000 - archived, 0))


def test_a_signal_before_the_queue_is_empty_has_a_status_of_its_own(
    url: str, name: str, publisher: WirePublisher, directory: Path
) -> None:
    """The disk is full: the run waits, because it would not be true that the queue was archived."""
    publisher.declare(name, QUORUM)
    fill(publisher, name, list(messages(10, seed=4)))
    with until_empty(directory, url, name, "--set", f"archive.free_bytes_min={1 << 60}") as running:
        running.wait_for("still_paused", 2)
        assert running.stop() == Exit.NOT_EMPTY
        assert running.lines("emptied") == []
        assert "before queue" in str(running.lines("failed")[0]["reason"])
    wait_until(lambda: publisher.messages(name)[0] == 10)


def test_a_queue_that_is_deleted_meanwhile_ends_the_run(
    url: str, name: str, publisher: WirePublisher, other: WirePublisher, directory: Path
) -> None:
    """Another consumer is active, so that the messages stay ready."""
    publisher.declare(name, SINGLE_ACTIVE)
    other.consume(name, prefetch=1)
    fill(publisher, name, list(messages(10, seed=5)))
    with until_empty(directory, url, name) as running:
        running.wait_for("consuming")
        publisher.delete(name)
        assert status(running) == Exit.MISSING
        assert running.lines("emptied") == []


def test_a_quorum_queue_that_does_not_answer_is_not_taken_for_an_empty_one(
    new_node: NewNode, name: str, directory: Path
) -> None:
    """RabbitMQ reports 0 messages if the leader does not answer within 250 ms. Another consumer is active, so that the messages stay ready."""
    with new_node() as node:
        publisher, active = WirePublisher(node.url), WirePublisher(node.url)
        publisher.declare(name, QUORUM + SINGLE_ACTIVE)
        active.consume(name, prefetch=1)
        fill(publisher, name, list(messages(10, seed=6)))
        leader = f"{{'%2F_{name}', node()}}"
        with until_empty(directory, node.url, name) as running:
            running.wait_for("consuming")
            node.control("eval", f"sys:suspend({leader}).")
            assert publisher.messages(name) == (0, 0)
            time.sleep(1.0)  # four questions
            node.control("eval", f"sys:resume({leader}).")
            wait_until(lambda: publisher.messages(name)[0] == 9)
            active.close()
            assert status(running) == Exit.OK
        publisher.close()
    assert archives.count(directory) == 10
