"""`watch` against a real RabbitMQ."""

import asyncio
import contextlib
import errno
import os
import re
import shutil
import signal
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiormq
import orjson
import pytest

from consumer import log
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.forward.forward import LineForwarder
from consumer.forward.line_publisher import Target
from consumer.forward.state import WatchState
from consumer.watch.backends import choose
from tests.support.nodes import NewNode
from tests.support.process import Watch


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
async def watching(
    path: Path, target: Target, state: Path | None, from_start: bool = True
) -> AsyncIterator[WatchState]:
    remembered = WatchState(Disk(), state)
    made = LineForwarder([path], target, remembered, choose(every_write=True), from_start)
    task = asyncio.create_task(made.run())
    try:
        yield remembered
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        remembered.close()


async def until(met) -> None:
    async with asyncio.timeout(30):
        while not met():
            await asyncio.sleep(0.01)


async def test_new_lines_are_published_with_their_position(
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


async def test_the_next_run_continues_after_the_last_confirmed_line(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path
) -> None:
    path, state = tmp_path / "log", tmp_path / "state"
    path.write_bytes(b"one\ntwo\n")
    async with watching(path, Target(url, "", name), state) as positions:
        await received(queue, name, 2)
        await until(lambda: [one.offset for one in positions.known[str(path)]] == [8])
    path.rename(tmp_path / "log.1")
    with (tmp_path / "log.1").open("ab") as file:
        file.write(b"three\n")
    path.write_bytes(b"four\n")
    async with watching(path, Target(url, "", name), state):
        found = await received(queue, name, 2)
    assert [message.body for message in found] == [b"three", b"four"]


async def test_while_the_broker_is_away_no_line_is_lost(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(log, "emit", lambda event, **_: logged.append(event.name))
    path, state = tmp_path / "log", tmp_path / "state"
    path.write_bytes(b"one\n")
    async with watching(path, Target("amqp://guest:guest@127.0.0.1:1/", "", name), state):
        await until(lambda: "publish_failed" in logged)
    async with watching(path, Target(url, "missing-exchange", name), state):
        await until(lambda: logged.count("publish_failed") > 1)
    async with watching(path, Target(url, "", "nobody"), state):
        await until(lambda: logged.count("publish_failed") > 2)
    remembered = WatchState(Disk(), state)
    assert [one.offset for one in remembered.known[str(path)]] == [0]
    remembered.close()
    async with watching(path, Target(url, "", name), state):
        assert [message.body for message in await received(queue, name, 1)] == [b"one"]


async def test_the_size_of_a_file_is_stored_while_the_broker_is_away(tmp_path: Path) -> None:
    """The next start did not report the unread bytes of removed files, and did not name the files that were new."""
    path, state = tmp_path / "log", tmp_path / "state"
    path.touch()
    async with watching(path, Target("amqp://guest:guest@127.0.0.1:1/", "", "nobody"), state) as stored:
        path.write_bytes(b"one\n" * 1000)
        await until(lambda: [one.size for one in stored.known[str(path)]] == [4000])
        path.rename(tmp_path / "log.1")
        path.write_bytes(b"two\n")
        await until(lambda: [one.size for one in stored.known[str(path)]] == [4000, 4])
        path.write_bytes(b"two\nthree\n")
    remembered = WatchState(Disk(), state)
    assert [one.offset for one in remembered.known[str(path)]] == [0, 0]
    remembered.close()


@pytest.mark.parametrize("missing", ["exchange", "queue"])
async def test_a_missing_exchange_or_queue_is_reported_before_there_is_a_line(
    url: str, name: str, tmp_path: Path, missing: str
) -> None:
    """It was reported when the first line could not be published, perhaps weeks later."""
    path = tmp_path / "log"
    where = ("--exchange", name) if missing == "exchange" else ("--routing-key", name)
    with Watch(tmp_path / "watch.log", str(path), "--url", url, *where) as watch:
        failed = await asyncio.to_thread(watch.wait_for, "publish_failed")
        assert f"NOT_FOUND - no {missing} '{name}'" in str(failed["reason"])
        async with aiormq.connect(url) as connection:
            channel = await connection.channel()
            await channel.queue_declare(name)
            if missing == "exchange":
                await channel.exchange_declare(name, exchange_type="fanout")
                await channel.queue_bind(name, name)
            path.write_bytes(b"one\n")
            assert [message.body for message in await received(channel, name, 1)] == [b"one"]
            await channel.queue_delete(name)
            await channel.exchange_delete(name)
        assert await asyncio.to_thread(watch.stop) == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_ends_as_the_service_does(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path, sign: signal.Signals
) -> None:
    """SIGTERM killed it."""
    path = tmp_path / "log"
    with Watch(tmp_path / "watch.log", str(path), "--url", url, "--routing-key", name) as watch:
        await asyncio.to_thread(watch.wait_for, "watching")
        path.write_bytes(b"one\n")
        assert (await received(queue, name, 1))[0].body == b"one"
        assert await asyncio.to_thread(watch.stop, sign) == 0
    assert [line["event"] for line in watch.lines()] == ["watching", "draining", "watch_stopped"]
    assert watch.lines("watch_stopped")[0]["published"] == 1
    assert "Traceback" not in watch.log.read_text()


async def test_it_ends_while_the_broker_is_away(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\n")
    away = ("--url", "amqp://me:secret@127.0.0.1:1/", "--routing-key", "x", "--from-start")
    with Watch(tmp_path / "watch.log", str(tmp_path / "log"), *away) as watch:
        await asyncio.to_thread(watch.wait_for, "publish_failed")
        assert await asyncio.to_thread(watch.stop) == 0
    assert "secret" not in watch.log.read_text()


async def test_settings_come_from_a_file_the_environment_and_a_file_of_a_secret(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("guest\n")
    (tmp_path / "deedbox.toml").write_text(f'[watch]\nrouting_key = "{name}"\nfrom_start = true\n')
    (tmp_path / "log").write_bytes(b"one\n")
    environ = {
        "DEEDBOX_BROKER__URL": url.replace("guest:guest", "guest:wrong"),
        "DEEDBOX_BROKER__PASSWORD_FILE": str(tmp_path / "secret"),
    }
    arguments = (str(tmp_path / "log"), "--config", str(tmp_path / "deedbox.toml"))
    with Watch(tmp_path / "watch.log", *arguments, environ=environ) as watch:
        assert (await received(queue, name, 1))[0].body == b"one"
        assert watch.stop() == 0


def test_a_wrong_password_ends_the_command_and_is_not_shown(url: str, tmp_path: Path) -> None:
    wrong = url.replace("guest:guest", "guest:hunter2")
    with Watch(tmp_path / "watch.log", str(tmp_path / "log"), "--url", wrong, "--routing-key", "x") as watch:
        assert watch.process is not None
        assert watch.process.wait(60) == 10
    (failed,) = watch.lines("failed")
    assert "refuses user 'guest'" in str(failed["reason"])
    assert "hunter2" not in watch.log.read_text()


def test_a_second_process_with_the_same_state_is_refused(url: str, name: str, tmp_path: Path) -> None:
    arguments = (str(tmp_path / "log"), "--url", url, "--routing-key", name)
    with Watch(tmp_path / "watch.log", *arguments) as first:
        first.wait_for("watching")
        state = first.state.read_bytes()
        with Watch(tmp_path / "second.log", *arguments, state=first.state) as second:
            assert second.process is not None
            assert second.process.wait(60) == 16
        assert first.state.read_bytes() == state


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "reason"), [(Path.mkdir, "is a directory"), (os.mkfifo, "is a pipe"), (make_loop, "Too many levels")]
)
async def test_a_name_that_no_file_can_have_is_reported_and_does_not_affect_the_others(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    make(tmp_path / "no-file")
    log_file = tmp_path / "log"
    log_file.touch()
    arguments = (str(tmp_path / "no-file"), str(log_file), "--url", url, "--routing-key", name)
    with Watch(tmp_path / "watch.log", *arguments) as watch:
        watch.wait_for("watching")
        log_file.write_bytes(b"line\n")
        (message,) = await received(queue, name, 1)
        assert message.body == b"line"
        assert watch.stop() == 0
    assert any(reason in str(line["reason"]) for line in watch.lines("watch_failed"))


def test_a_wrong_url_is_refused_without_its_password(tmp_path: Path) -> None:
    with Watch(tmp_path / "watch.log", str(tmp_path / "log"), "--url", "ftp://me:hunter2@host/") as watch:
        assert watch.process is not None
        assert watch.process.wait(60) == 2
    assert "hunter2" not in watch.log.read_text()


async def everything(url: str, name: str) -> list[aiormq.abc.DeliveredMessage]:
    """The messages in a durable queue now. The queue is declared if it does not exist."""
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        count = (await channel.queue_declare(name, durable=True)).message_count or 0
        return await received(channel, name, count)


def confirmed(watch: Watch, path: Path) -> bool:
    """Whether the file that has the name is confirmed to its end."""
    positions = orjson.loads(watch.state.read_bytes())["files"][str(path)]
    return [position[1] for position in positions][-1:] == [path.stat().st_size]


async def test_a_restart_of_the_broker_loses_no_line(new_node: NewNode, name: str, tmp_path: Path) -> None:
    """The first publish that failed ended the command with a traceback."""
    path = tmp_path / "log"
    path.touch()
    with new_node() as node:
        await everything(node.url, name)
        with Watch(tmp_path / "watch.log", str(path), "--url", node.url, "--routing-key", name) as watch:
            await asyncio.to_thread(watch.wait_for, "watching")
            for number, action in enumerate((None, node.stop, node.start)):
                if action is not None:
                    await asyncio.to_thread(action)
                with path.open("ab") as file:
                    file.write(b"".join(b"%d-%d\n" % (number, line) for line in range(300)))
                if number == 1:
                    await asyncio.to_thread(watch.wait_for, "publish_failed")
                    for rotated in ("log.2", "log.1"):  # files are looked at while the broker is away
                        path.rename(path.with_name(rotated))
                        path.write_bytes(b"after %s\n" % rotated.encode())
            await asyncio.to_thread(watch.wait_until, lambda: confirmed(watch, path), "all is confirmed")
            assert watch.stop() == 0
        found = {message.body for message in await everything(node.url, name)}
    numbered = {b"%d-%d" % (number, line) for number in range(3) for line in range(300)}
    assert found == numbered | {b"after log.1", b"after log.2"}


async def test_a_message_that_the_broker_refuses_is_set_aside_and_named(
    new_node: NewNode, name: str, tmp_path: Path
) -> None:
    """It was tried again without end, and no later line was published."""
    path = tmp_path / "log"
    lines = [b"%d" % number for number in range(20)]
    lines[7] = b"x" * 2000
    path.write_bytes(b"\n".join(lines) + b"\n")
    with new_node(extra_conf="max_message_size = 1000\n") as node:
        await everything(node.url, name)
        arguments = (str(path), "--url", node.url, "--routing-key", name, "--from-start")
        with Watch(tmp_path / "watch.log", *arguments) as watch:
            refused = await asyncio.to_thread(watch.wait_for, "message_refused")
            await asyncio.to_thread(watch.wait_until, lambda: confirmed(watch, path), "all is confirmed")
            assert watch.stop() == 0
        found = {message.body for message in await everything(node.url, name)}
    assert found == set(lines) - {lines[7]}
    assert (refused["path"], refused["bytes"], refused["kept"]) == (str(path), 2000, f"{watch.state}.refused")
    (kept,) = [orjson.loads(line) for line in Path(str(refused["kept"])).read_bytes().splitlines()]
    assert b64decode(kept["body_base64"]) == lines[7]
    assert kept["position"] == refused["position"]
    assert "larger than configured max size" in kept["reason"]


async def test_a_long_line_is_published_in_pieces_and_memory_is_bounded(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path
) -> None:
    """545 MiB were resident with 60 lines of 8 MiB; pieces of 17 MiB are refused by RabbitMQ 4."""
    path = tmp_path / "log"
    path.write_bytes(b"a" * (20 << 20) + b"\n" + (b"b" * (8 << 20) + b"\n") * 12 + b"end\n")
    arguments = (str(path), "--url", url, "--routing-key", name, "--from-start")
    with Watch(tmp_path / "watch.log", *arguments) as watch:
        found = await received(queue, name, 16)
        assert watch.process is not None
        status = Path(f"/proc/{watch.process.pid}/status").read_text()
        watch.stop()
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    assert int(peak) < 220 << 10
    assert [len(message.body) >> 20 for message in found] == [8, 8, 4, *[8] * 12, 0]
    headers = [message.header.properties.headers for message in found]
    assert [(one["piece"], one["last_piece"]) for one in headers[:3]] == [(0, False), (1, False), (2, True)]
    assert len({one["line"] for one in headers[:3]}) == 1
    assert all("piece" not in one for one in headers[3:])
    assert len({message.header.properties.message_id for message in found}) == 16


async def test_a_busy_file_and_a_directory_do_not_delay_the_other_files(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path
) -> None:
    busy, quiet, directory = tmp_path / "busy", tmp_path / "quiet", tmp_path / "directory"
    busy.write_bytes(b"busy\n" * 5000)
    quiet.write_bytes(b"quiet\n")
    directory.mkdir()
    found: list[bytes] = []

    async def keep(message: aiormq.abc.DeliveredMessage) -> None:
        found.append(message.body)

    await queue.basic_consume(name, keep, no_ack=True)
    options = ("--url", url, "--routing-key", name, "--from-start")
    with Watch(tmp_path / "watch.log", str(directory), str(busy), str(quiet), *options):
        await until(lambda: b"quiet" in found)
    assert found.index(b"quiet") <= 500


async def test_a_full_queue_that_rejects_gets_every_line_once(url: str, name: str, tmp_path: Path) -> None:
    """Each attempt published the whole batch: the queue accepted its first lines again and again, and never the others."""
    path = tmp_path / "log"
    lines = [b"%d" % number for number in range(300)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    full = {"x-max-length": 100, "x-overflow": "reject-publish"}
    found: list[bytes] = []
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name, arguments=full)
        with Watch(tmp_path / "watch.log", str(path), "--url", url, "--routing-key", name, "--from-start") as watch:
            await asyncio.to_thread(watch.wait_for, "publish_failed")
            while len(found) < 300:
                found += [message.body for message in await received(channel, name, 1)]
            await asyncio.to_thread(watch.wait_until, lambda: confirmed(watch, path), "all is confirmed")
            assert watch.stop() == 0
        assert (await channel.queue_delete(name)).message_count == 0
    assert sorted(found) == sorted(lines)


async def test_a_state_file_that_cannot_be_written_ends_the_command(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path
) -> None:
    """The same lines would be published again and again."""
    path = tmp_path / "log"
    path.touch()
    (tmp_path / "removed").mkdir()
    state = WatchState(Disk(), tmp_path / "removed" / "state")
    made = LineForwarder([path], Target(url, "", name), state, choose(every_write=True))
    shutil.rmtree(tmp_path / "removed")
    path.write_bytes(b"one\n")
    with pytest.raises(DeedboxError, match="make the state file writable"):
        await made.run()
    state.close()


class FullDisk(Disk):
    """A disk that can be made to accept no state file."""

    code = 0

    def replace(self, path: Path, raw: bytes) -> None:
        if self.code:
            raise OSError(self.code, os.strerror(self.code))
        super().replace(path, raw)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EMFILE])
async def test_a_temporary_failure_to_store_the_state_ends_nothing(
    url: str, name: str, queue: aiormq.abc.AbstractChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """It ended with status 1, as if the state could never be written."""
    logged: list[tuple[str, str]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: logged.append((event.name, str(fields.get("reason")))))
    path, disk = tmp_path / "log", FullDisk()
    path.touch()
    state = WatchState(disk, tmp_path / "state")
    made = LineForwarder([path], Target(url, "", name), state, choose(every_write=True))
    task = asyncio.create_task(made.run())
    disk.code = code
    path.write_bytes(b"one\n")
    (one,) = await received(queue, name, 1)
    reason = f"{tmp_path / 'state'}: {os.strerror(code)}"
    await until(lambda: any(event == "watch_failed" and text.startswith(f"{reason}; ") for event, text in logged))
    path.rename(tmp_path / "log.1")
    path.write_bytes(b"two\n")
    await until(lambda: ("publish_failed", reason) in logged)
    assert (await queue.queue_declare(name, passive=True)).message_count == 0
    disk.code = 0
    (two,) = await received(queue, name, 1)
    assert [one.body, two.body] == [b"one", b"two"]
    made.stop()
    assert await task
    assert [position.offset for position in state.known[str(path)]] == [4, 4]
    state.close()


async def test_an_error_while_the_connection_closes_does_not_hide_the_cancellation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command continued after Ctrl-C: closing the connection failed, which counted as an unreachable broker."""
    entered = asyncio.Event()

    class FailsToClose:
        def __init__(self, _url: str, _context: object) -> None: ...

        async def __aenter__(self) -> "FailsToClose":
            entered.set()
            return self

        async def find(self, *_: str) -> None: ...

        async def __aexit__(self, *_: object) -> None:
            raise ConnectionError("closed already")

    monkeypatch.setattr("consumer.forward.line_publisher.Publisher", FailsToClose)
    made = LineForwarder(
        [tmp_path / "log"], Target("amqp://x/", "", ""), WatchState(Disk(), None), choose(every_write=True)
    )
    task = asyncio.create_task(made.run())
    await entered.wait()
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task
