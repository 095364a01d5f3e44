"""Bad days of `deedbox replay`, as a process against a real broker."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codec.event import Event
from consumer.amqp.settled import Window
from consumer.demo.node import Node
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, event
from tests.support.command_line import deedbox
from tests.support.nodes import NewNode
from tests.support.wire import WirePublisher

EVENTS, RATE = 20_000, 8000
PERSISTENT = b"\x10\x00\x02"
LIMIT_BYTES = 100_000
WAIT_S = 60.0


@pytest.fixture(scope="module")
def node(new_node: NewNode) -> Iterator[Node]:
    with new_node(extra_conf=f"max_message_size = {LIMIT_BYTES}\n") as made:
        yield made


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two archives of persistent messages, each with a body of its own."""
    log = archive_log(tmp_path / "archive")
    for first in range(0, EVENTS, 1000):
        log.append([_event(serial) for serial in range(first, first + 1000)])
        if first == EVENTS // 2:
            log.roll("test")
    log.roll("test")
    return tmp_path / "archive"


def _event(serial: int, body: bytes = b"") -> Event:
    return event(serial)._replace(header=PERSISTENT, body=body or b"body %d" % serial)


@pytest.fixture
def queue(node: Node, name: str) -> str:
    there = WirePublisher(node.url)
    there.declare(name)
    there.close()
    return name


class Running:
    """`deedbox replay` as a process."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "consumer", "replay", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self) -> tuple[int, str, str]:
        out, error = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, out, error

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `deedbox replay`. What still runs after the test is killed."""
    started: list[Running] = []

    def begin(*arguments: object) -> Running:
        started.append(Running(*arguments))
        return started[-1]

    yield begin
    for running in started:
        if running.process.returncode is None:
            running.kill()


def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ready(node: Node, queue: str) -> int:
    there = WirePublisher(node.url)
    try:
        return there.messages(queue)[0]
    finally:
        there.close()


def bodies(node: Node, queue: str) -> set[bytes]:
    there = WirePublisher(node.url)
    try:
        return there.bodies(queue)
    finally:
        there.close()


ALL = {b"body %d" % serial for serial in range(EVENTS)}


def test_killed_five_times_every_event_arrives_and_few_are_repeated(
    start: Start, node: Node, queue: str, directory: Path
) -> None:
    """Without a receipt is at most a window, and what was confirmed in two seconds."""
    arguments = (directory, "--url", node.url, "--to-queue", queue, "--checkpoint", "kills")
    for _ in range(5):
        running, before = start(*arguments, "--rate", f"{RATE // 4}/s"), ready(node, queue)
        until(lambda before=before: ready(node, queue) > before + 1000)
        running.kill()
    assert start(*arguments).end()[0] == Exit.OK
    count = ready(node, queue)
    assert count <= EVENTS + 5 * (Window().messages + 2 * RATE // 4)
    assert bodies(node, queue) == ALL
    assert start(*arguments).end()[1].startswith("published: 0 events")


def test_a_killed_broker_is_waited_for(start: Start, new_node: NewNode, name: str, directory: Path) -> None:
    with new_node() as node:
        there = WirePublisher(node.url)
        there.declare(name)
        there.close()
        running = start(directory, "--url", node.url, "--to-queue", name, "--rate", f"{RATE}/s")
        until(lambda: ready(node, name) > EVENTS // 10)
        node.stop(signal.SIGKILL)
        node.start()
        status, out, error = running.end()
        assert (status, out.startswith(f"published: {EVENTS} events")) == (Exit.OK, True)
        assert "not connected: " in error
        assert "Traceback" not in error
        assert EVENTS <= ready(node, name) <= EVENTS + Window().messages
        assert bodies(node, name) == ALL


def test_a_memory_alarm_pauses_it(start: Start, node: Node, queue: str, directory: Path) -> None:
    running = start(directory, "--url", node.url, "--to-queue", queue, "--rate", f"{RATE}/s")
    until(lambda: ready(node, queue) > EVENTS // 10)
    node.control("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        assert running.process.stderr is not None
        assert "the broker accepts no messages now" in running.process.stderr.readline()
    finally:
        node.control("set_vm_memory_high_watermark", "absolute", "1GB")
    status, out, _error = running.end()
    assert (status, out.startswith(f"published: {EVENTS} events")) == (Exit.OK, True)
    assert (ready(node, queue), bodies(node, queue)) == (EVENTS, ALL)


def test_an_exchange_that_is_deleted_in_the_middle_is_reported_for_each_event(
    start: Start, node: Node, name: str, directory: Path
) -> None:
    there = WirePublisher(node.url)
    there.declare(name)
    there.declare_exchange(name)
    there.bind(name, name, b"#")
    running = start(directory, "--url", node.url, "--exchange", name, "--checkpoint", "gone", "--rate", f"{RATE}/s")
    until(lambda: ready(node, name) > EVENTS // 10)
    there.delete_exchange(name)
    status, out, error = running.end()
    confirmed = int(out.split()[1])
    assert status == Exit.DAMAGED
    assert f"no exchange '{name}' in vhost '/'" in error
    assert f"not published: {EVENTS - confirmed} events" in error
    assert "Traceback" not in error
    assert confirmed <= ready(node, name) < EVENTS
    there.declare_exchange(name)
    there.bind(name, name, b"#")
    there.close()
    again = start(directory, "--url", node.url, "--exchange", name, "--checkpoint", "gone").end()
    assert (again[0], again[1].startswith(f"published: {EVENTS - confirmed} events")) == (Exit.OK, True)
    assert bodies(node, name) == ALL


def test_a_message_above_the_limit_of_the_broker_is_listed(
    start: Start, node: Node, queue: str, tmp_path: Path
) -> None:
    log = archive_log(tmp_path / "large")
    log.append([_event(0), _event(1, b"x" * (LIMIT_BYTES + 1)), _event(2)])
    status, out, error = start(tmp_path / "large", "--url", node.url, "--to-queue", queue).end()
    assert (status, out.startswith("published: 2 events")) == (Exit.DAMAGED, True)
    assert error.splitlines()[0].startswith(f"deedbox: refused: one-00000001:1: exchange '', routing key '{queue}':")
    assert "larger than" in error.splitlines()[0]
    assert bodies(node, queue) == {b"body 0", b"body 2"}


def test_a_queue_that_rejects_publishes_is_reported(start: Start, node: Node, name: str, directory: Path) -> None:
    there = WirePublisher(node.url)
    there.declare(name, b"\x0cx-max-lengthI\0\0\0\x05" + b"\x0ax-overflowS\0\0\0\x0ereject-publish")
    there.close()
    status, out, error = start(directory, "--url", node.url, "--to-queue", name).end()
    assert status == Exit.DAMAGED
    assert "basic.nack" in error
    confirmed = int(out.split()[1])
    assert f"not published: {EVENTS - confirmed} events" in error
    assert ready(node, name) == confirmed


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_confirms_and_nothing_is_repeated(
    start: Start, node: Node, queue: str, directory: Path, sign: signal.Signals
) -> None:
    arguments = (directory, "--url", node.url, "--to-queue", queue, "--checkpoint", "signal")
    running = start(*arguments, "--rate", f"{RATE}/s")
    until(lambda: ready(node, queue) > EVENTS // 10)
    running.process.send_signal(sign)
    status, out, error = running.end()
    assert status == 128 + sign
    assert f"stopped by {sign.name}: the last event that was sent is one-0000000" in error
    assert int(out.split()[1]) == ready(node, queue)
    assert start(*arguments).end()[0] == Exit.OK
    assert (ready(node, queue), bodies(node, queue)) == (EVENTS, ALL)


def test_a_second_process_with_the_name_is_refused(start: Start, node: Node, queue: str, directory: Path) -> None:
    arguments = (directory, "--url", node.url, "--to-queue", queue, "--checkpoint", "one")
    running = start(*arguments, "--rate", "500/s")
    until(lambda: ready(node, queue) > 0)
    second = deedbox("replay", *arguments)
    running.kill()
    assert second.returncode == Exit.INSTANCE
    assert "is used by another process" in second.stderr
