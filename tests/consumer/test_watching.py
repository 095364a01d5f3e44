"""`watch` against a real RabbitMQ."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiormq
import pytest

from consumer import log
from consumer.archive.durable import Disk
from consumer.errors import DeedboxError
from consumer.watch.backends import choose
from consumer.watching import Positions, Target, Watching


@pytest.fixture
async def queue(url: str, name: str) -> AsyncIterator[aiormq.abc.AbstractChannel]:
    connection = await aiormq.connect(url)
    channel = await connection.channel()
    await channel.queue_declare(name)
    yield channel
    await channel.queue_delete(name)
    await connection.close()


async def received(channel: aiormq.abc.AbstractChannel, name: str, count: int) -> list[aiormq.abc.DeliveredMessage]:
    found: list[aiormq.abc.DeliveredMessage] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            message = await channel.basic_get(name, no_ack=True)
            if message.delivery_tag:
                found.append(message)
            else:
                await asyncio.sleep(0.01)
    return found


@contextlib.asynccontextmanager
async def watching(path: Path, target: Target, state: Path | None, from_start: bool = True) -> AsyncIterator[Positions]:
    positions = Positions(Disk(), state)
    made = Watching([path], target, positions, choose(growth=True), from_start)
    task = asyncio.create_task(made.run())
    try:
        yield positions
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(met) -> None:
    async with asyncio.timeout(30):
        while not met():
            await asyncio.sleep(0.01)


async def test_new_lines_are_published_with_where_they_stood(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    async with watching(path, Target(url, "", name), None):
        (one,) = await received(queue, name, 1)
        with path.open("ab") as file:
            file.write("o é\n".encode())
        path.rename(tmp_path / "log.1")
        path.write_bytes(b"three\n")
        two, three = await received(queue, name, 2)
    assert [found.body for found in (one, two, three)] == [b"one", "two é".encode(), b"three"]
    properties = one.header.properties
    assert (properties.delivery_mode, properties.headers["path"], properties.headers["position"]) == (2, str(path), 4)
    assert len({found.header.properties.message_id for found in (one, two, three)}) == 3


async def test_it_goes_on_where_it_was_confirmed(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path
) -> None:
    path, state = tmp_path / "log", tmp_path / "state"
    path.write_bytes(b"one\ntwo\n")
    async with watching(path, Target(url, "", name), state) as positions:
        await received(queue, name, 2)
        await until(lambda: [one.offset for one in positions.known[str(path)].values()] == [8])
    path.rename(tmp_path / "log.1")
    with (tmp_path / "log.1").open("ab") as file:
        file.write(b"three\n")
    path.write_bytes(b"four\n")
    async with watching(path, Target(url, "", name), state):
        found = await received(queue, name, 2)
    assert [message.body for message in found] == [b"three", b"four"]


async def test_a_broker_that_is_not_there_is_waited_for_and_no_line_is_lost(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(log, "emit", lambda event, **_: said.append(event))
    path, state = tmp_path / "log", tmp_path / "state"
    path.write_bytes(b"one\n")
    async with watching(path, Target("amqp://guest:guest@127.0.0.1:1/", "", name), state):
        await until(lambda: "publish_failed" in said)
    async with watching(path, Target(url, "missing-exchange", name), state):
        await until(lambda: said.count("publish_failed") > 1)
    async with watching(path, Target(url, "", "nobody"), state):
        await until(lambda: said.count("publish_failed") > 2)
    assert [one.offset for one in Positions(Disk(), state).known[str(path)].values()] == [0]
    async with watching(path, Target(url, "", name), state):
        assert [message.body for message in await received(queue, name, 1)] == [b"one"]


def test_a_state_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("{")
    with pytest.raises(DeedboxError, match="state"):
        Positions(Disk(), tmp_path / "state")


def heed_interrupts() -> None:
    """A shell that runs the tests in the background has them ignored, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def test_the_command_watches_until_it_is_interrupted(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    command = [sys.executable, "-m", "consumer", "watch", str(path), "--url", url, "--routing-key", name]
    watching = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ, preexec_fn=heed_interrupts
    )
    assert watching.stdout is not None
    assert b'"event":"watching"' in await asyncio.to_thread(watching.stdout.readline)
    path.write_bytes(b"one\n")
    assert (await received(queue, name, 1))[0].body == b"one"
    watching.send_signal(signal.SIGINT)
    _, complaints = await asyncio.to_thread(watching.communicate)
    assert (watching.returncode, complaints) == (130, b"")


async def test_a_busy_file_starves_no_other_and_a_directory_stops_none(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path
) -> None:
    busy, quiet = tmp_path / "busy", tmp_path / "quiet"
    busy.write_bytes(b"busy\n" * 5000)
    quiet.write_bytes(b"quiet\n")
    (tmp_path / "directory").mkdir()
    paths = [tmp_path / "directory", busy, quiet]
    made = Watching(paths, Target(url, "", name), Positions(Disk(), None), choose(growth=True), from_start=True)
    task = asyncio.create_task(made.run())
    found = await received(queue, name, 1500)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert b"quiet" in [message.body for message in found]


async def test_a_state_that_cannot_be_written_ends_it(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path
) -> None:
    """The same lines would be published again and again."""
    path = tmp_path / "log"
    path.touch()
    positions = Positions(Disk(), tmp_path / "state")
    made = Watching([path], Target(url, "", name), positions, choose(growth=True))
    positions._path = tmp_path / "missing" / "state"
    path.write_bytes(b"one\n")
    with pytest.raises(DeedboxError, match="make the state file writable"):
        await made.run()
    assert [message.body for message in await received(queue, name, 1)] == [b"one"]


async def test_an_error_on_the_way_out_does_not_stand_in_for_the_cancellation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen as a command that went on after Ctrl-C: closing the connection failed, and was taken for a broker that is away."""
    entered = asyncio.Event()

    class FailsToClose:
        def __init__(self, _url: str) -> None: ...

        async def __aenter__(self) -> "FailsToClose":
            entered.set()
            return self

        async def __aexit__(self, *_: object) -> None:
            raise ConnectionError("closed already")

    monkeypatch.setattr("consumer.watching.Publisher", FailsToClose)
    made = Watching([tmp_path / "log"], Target("amqp://x/", "", ""), Positions(Disk(), None), choose(growth=True))
    task = asyncio.create_task(made.run())
    await entered.wait()
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task
