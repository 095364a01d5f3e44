"""Bad days of the stage `[replay]`: the other broker does not take events, or another instance has the checkpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.demo.node import Node
from tests.integration.test_mirror import bound, mirroring, publish, ready
from tests.support import archives
from tests.support.messages import Sent, messages
from tests.support.nodes import NewNode
from tests.support.wire import WirePublisher

COUNT = 300


@pytest.fixture(scope="module")
def node(new_node: NewNode) -> Iterator[Node]:
    """The other broker."""
    with new_node() as made:
        yield made


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def sent() -> list[Sent]:
    return list(messages(COUNT, seed=5))


def test_events_without_a_queue_wait_until_one_is_bound(
    url: str, name: str, node: Node, directory: Path, sent: list[Sent]
) -> None:
    bound(node.url, name, key=b"nothing.like.this")
    with mirroring(directory, url, name, node.url) as running:
        running.wait_for("mirroring")
        publish(url, name, sent)
        assert "NO_ROUTE" in str(running.wait_for("mirror_waiting")["reason"])
        bound(node.url, name)
        running.wait_for("mirror_resumed")
        running.wait_until(lambda: ready(node.url, name) == COUNT, "all are there, each once")
        assert running.stop() == 0
    assert running.lines("mirror_set_aside") == []
    assert ready(node.url, name) == COUNT


def test_when_the_patience_is_over_they_are_recorded_and_the_others_go_on(
    url: str, name: str, node: Node, directory: Path, sent: list[Sent]
) -> None:
    bound(node.url, name, key=b"wanted")
    with mirroring(directory, url, name, node.url, "--set", "replay.patience_s=1") as running:
        running.wait_for("mirroring")
        publish(url, name, sent)
        running.wait_for("mirror_set_aside")
        publish(url, name, [one._replace(key=b"wanted") for one in sent])
        running.wait_until(lambda: ready(node.url, name) == COUNT, "the others are there")
        assert running.stop() == 0
    recorded = (directory / "followers" / "mirror.set-aside").read_bytes()
    assert len({line for line in recorded.splitlines() if line}) == COUNT


def test_a_missing_exchange_is_waited_for(url: str, name: str, node: Node, directory: Path, sent: list[Sent]) -> None:
    with mirroring(directory, url, name, node.url, "--set", "replay.patience_s=0") as running:
        running.wait_for("mirroring")
        publish(url, name, sent)
        assert "no exchange" in str(running.wait_for("mirror_waiting")["reason"])
        bound(node.url, name)
        running.wait_until(lambda: ready(node.url, name) == COUNT, "all are there, each once")
        assert running.stop() == 0
    assert running.lines("mirror_set_aside") == []


def test_another_instance_waits_for_the_checkpoint_and_takes_over(
    url: str, name: str, node: Node, directory: Path, sent: list[Sent]
) -> None:
    bound(node.url, name)
    with mirroring(directory, url, name, node.url) as one:
        one.wait_for("mirroring")
        with mirroring(directory, url, name, node.url, instance="two") as two:
            two.wait_for("mirror_standby")
            publish(url, name, sent)
            one.wait_until(lambda: ready(node.url, name) == COUNT, "the events of both are there, each once")
            one.stop()
            two.wait_for("mirroring")
            publish(url, name, sent)
            two.wait_until(lambda: ready(node.url, name) == 2 * COUNT, "the second one publishes")
            assert two.stop() == 0


def test_two_brokers_that_mirror_each_other_come_to_an_end(
    url: str, name: str, node: Node, directory: Path, tmp_path: Path, sent: list[Sent]
) -> None:
    there = WirePublisher(url)
    there.declare_exchange(name)
    there.close()
    other = tmp_path / "other"
    with mirroring(directory, url, name, node.url) as one, mirroring(other, node.url, name, url, instance="two") as two:
        one.wait_for("mirroring")
        two.wait_for("mirroring")
        publish(url, name, sent)
        publish(node.url, name, sent)
        one.wait_until(lambda: archives.count(directory) == 2 * COUNT, "both have the events of both")
        two.wait_until(lambda: archives.count(other) == 2 * COUNT, "both have the events of both")
        for running in (one, two):
            running.wait_until(
                lambda running=running: running.lines("stats")[-1].get("replay") == "publishing, 0 behind", "no lag"
            )
        assert (one.stop(), two.stop()) == (0, 0)
    assert (archives.count(directory), archives.count(other)) == (2 * COUNT, 2 * COUNT)


def test_a_login_that_is_refused_later_does_not_end_the_service(
    url: str, name: str, node: Node, directory: Path, sent: list[Sent]
) -> None:
    node.control("add_user", name, "secret")
    node.control("set_permissions", name, ".*", ".*", ".*")
    bound(node.url, name)
    with mirroring(directory, url, name, node.url.replace("guest:guest", f"{name}:secret")) as running:
        running.wait_for("mirroring")
        node.control("change_password", name, "other")
        connections = node.control("list_connections", "pid", "user").splitlines()
        (pid,) = [line.split()[0] for line in connections if line.endswith(name)]
        node.control("close_connection", pid, "test")
        running.wait_for("mirror_connect_failed", 2)
        publish(url, name, sent)
        running.wait_until(lambda: archives.count(directory) == COUNT, "archiving continues")
        node.control("change_password", name, "secret")
        running.wait_until(lambda: ready(node.url, name) == COUNT, "all are there")
        assert running.stop() == 0
