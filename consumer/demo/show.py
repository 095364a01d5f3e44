"""`deedbox demo`: the main job in a minute, with a kill -9 in the middle.

Everything it shows is the real thing: a broker, `deedbox run` in a process of its own, signals, and the commands that anybody uses.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import orjson

from codec.event import format_time
from consumer.amqp.publish import Message, Publisher
from consumer.api.archives import Archives
from consumer.archive.checking.report import show_verdicts
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile, StoredBatch
from consumer.demo.broker import broker
from consumer.demo.notifications import Notification, notifications
from consumer.demo.relay import Relay
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.query.query import make_query
from consumer.query.search import Search

WAIT_S_MAX = 60.0
EVENTS_MIN = 100  # of fewer ones, none would be durable, or none on its way, at the time of the kill


def show(count: int, keep: Path | None, environ: Mapping[str, str]) -> int:
    """Run the demo and tell what happens. Exit status 0 only if nothing was lost or doubled.

    Raises Fatal for too few events and for a directory to keep that holds something, before anything is started.
    """
    if count < EVENTS_MIN:
        raise Fatal(Exit.SETTINGS, f"--events {count}", f"name a number from {EVENTS_MIN} on")
    if keep is not None:
        _make_empty(keep)
    say(f"Deedbox demo: {count:,} OpenStack notifications, one kill -9, nothing lost.")
    if keep is not None:
        return _demo(keep, count, environ)
    with tempfile.TemporaryDirectory(prefix="deedbox-demo-") as directory:
        return _demo(Path(directory), count, environ)


def _make_empty(keep: Path) -> None:
    """Make the directory. Archives of another life in it would be counted as those of this demo."""
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise Fatal(Exit.SETTINGS, f"--keep {keep}: the directory is not empty", "name a new or an empty directory")


def say(text: str) -> None:
    """A line for the person who watches, at once."""
    print(text, flush=True)


def step(title: str, text: str) -> None:
    """A numbered thing that happened."""
    say(f"  {title:<11} {text}")


def _demo(directory: Path, count: int, environ: Mapping[str, str]) -> int:
    with broker(environ, lambda text: step("broker", text)) as url:
        messages = list(notifications(count))
        size = sum(len(message.body) for message in messages)
        with Run(url, f"deedbox-demo-{uuid.uuid4().hex[:8]}", directory) as run:
            asyncio.run(_use(run, messages))
        _show_marked(directory)
    well = show_verdicts([directory], lambda line: step("verify", line))
    whole = _compare(directory, messages)
    _show_sizes(directory, size)
    _show_search(directory)
    say(
        "Nothing was lost. `deedbox run --help` says how to point it at your exchange."
        if well and whole
        else "FAILED: see above."
    )
    return Exit.OK if well and whole else Exit.DAMAGED


class Run:
    """`deedbox run` in a process of its own, which ends with the block, however that ends."""

    def __init__(self, url: str, name: str, directory: Path) -> None:
        self.name, self._directory = name, directory
        self.url = url
        self._relay = (
            None if urlsplit(url).scheme == "amqps" else Relay(url)
        )  # a relay cannot show the broker's certificate
        self._log = directory / "demo.log"
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "consumer", "run", "--dir", str(self._directory), "--queue", self.name, "--exchange", self.name,
                   "--instance", "demo", "--set", "archive.describe=openstack", "--set", "service.log=json", "--set", "broker.declare=all"]  # fmt: skip
        url = self._relay.url if self._relay else self.url
        with self._log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"DEEDBOX_BROKER__URL": url})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def lines(self, event: str) -> list[dict[str, object]]:
        """What the service has logged of one kind."""
        whole = [line for line in self._log.read_bytes().split(b"\n")[:-1] if line.startswith(b"{")]
        return [line for line in map(orjson.loads, whole) if line["event"] == event]

    def wait_for(self, event: str, count: int) -> dict[str, object]:
        """Wait for the `count`th line of a kind."""
        deadline = time.monotonic() + WAIT_S_MAX
        while len(found := self.lines(event)) < count:
            if self._process.poll() is not None or time.monotonic() > deadline:
                what = f"no {event!r} from the service; its log ends: {self._log.read_text()[-800:]}"
                raise DeedboxError(what, "look at the reason there")
            time.sleep(0.02)
        return found[count - 1]

    def events(self) -> int:
        """Events that are durable now."""
        return sum(
            batch.header.events for path in find_archives([self._directory]) for batch in _batches(path, frames=False)
        )

    def unmarked(self) -> int:
        """Events that are durable now and not marked as duplicates."""
        return sum(1 for _ in Archives([self._directory]).search())

    def lose_acks(self) -> None:
        """As just before a connection breaks: what is archived from now on is acknowledged, and the broker does not learn of it."""
        if self._relay is not None:
            self._relay.mute()
            step("no acks", "the connection is about to break: acknowledgements do not arrive any more")

    def wait_for_events(self, count: int, events: Callable[[], int] | None = None) -> None:
        """Wait until so many events are durable, as `events` counts them."""
        deadline = time.monotonic() + WAIT_S_MAX
        while (events or self.events)() < count and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def kill_and_restart(self) -> None:
        """What the out-of-memory killer does, and then what a container runtime does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        if self._relay is not None:
            self._relay.cut()
        step("kill -9", f"the service is gone, with {self.events():,} events durable")
        self._process = self._start()
        found = self.wait_for("recovered", 1)
        step(
            "recovered",
            f"{found['events']:,} events of the open archive sealed, {found['torn_bytes']} torn bytes set aside",
        )
        again = self.wait_for("consuming", 2)
        step("consuming", f"again, with {again['prefetch']} messages in flight until the first commit after the crash")

    def stop(self) -> None:
        """SIGTERM: drain, seal, end."""
        self._process.terminate()
        status = self._process.wait(WAIT_S_MAX)
        step("stopped", f"by SIGTERM, exit status {status}")


async def _use(run: Run, messages: list[Notification]) -> None:
    """The life of the service. When the demo is ended in the middle, the threads that wait for the service wait no longer."""
    try:
        await _publish_and_kill(run, messages)
    finally:
        run.kill()


async def _publish_and_kill(run: Run, messages: list[Notification]) -> None:
    """Publish, and kill the service when half of it is acknowledged, some more is durable, and the rest on its way."""
    await asyncio.to_thread(run.wait_for, "consuming", 1)
    step("service", f"`deedbox run` consumes queue {run.name}")
    async with Publisher(run.url) as publisher:
        started = time.monotonic()
        half = len(messages) // 2
        await publisher.publish(_as_messages(run.name, messages[:half]))
        await asyncio.to_thread(run.wait_for_events, half)
        run.lose_acks()
        publishing = asyncio.create_task(publisher.publish(_as_messages(run.name, messages[half:])))
        await asyncio.to_thread(run.wait_for_events, half + len(messages) // 20)
        await asyncio.to_thread(run.kill_and_restart)
        await publishing
        await asyncio.to_thread(run.wait_for_events, len(messages), run.unmarked)
        passed = time.monotonic() - started
        size = sum(len(message.body) for message in messages)
        rate = f"{len(messages) / passed:,.0f} a second, crash included"
        step(
            "published",
            f"{len(messages):,} notifications, {size / 1e6:.0f} MB, confirmed by a quorum queue, and archived: {rate}",
        )
        run.stop()
        await publisher.delete(run.name, run.name)


def _as_messages(exchange: str, found: list[Notification]) -> Iterator[Message]:
    for notification in found:
        properties = {"content_type": "application/json", "delivery_mode": 2, "message_id": notification.message_id}
        yield Message(exchange, notification.routing_key, notification.body, properties)


def _batches(path: Path, frames: bool = True) -> Iterator[StoredBatch]:
    with ArchiveFile(path) as archive:
        yield from (part for part in archive.parts(frames) if isinstance(part, StoredBatch))


def _compare(directory: Path, messages: list[Notification]) -> bool:
    """Every notification is there once without a mark, to the byte."""
    archived = [(event.id, event.body) for event in Archives([directory]).search()]
    missing = {(m.message_id, m.body) for m in messages} - set(archived)
    step(
        "compared",
        f"{len(messages) - len(missing):,} of {len(messages):,} equal to the byte, {len(archived) - len(set(archived))} doubled",
    )
    return not missing and len(archived) == len(messages)


def _show_marked(directory: Path) -> None:
    marked = list(Archives([directory]).search(duplicates="only"))
    step(
        "marked",
        f"{len(marked):,} events were archived and not acknowledged at the kill; they came again, and each names the first",
    )
    for event in marked[:1]:
        step("", f"{event.id} at {event.position} equals the event at {event.duplicate}; readers hide it by default")


def _show_sizes(directory: Path, size: int) -> None:
    paths = find_archives([directory])
    stored = sum(path.stat().st_size for path in paths)
    step("size", f"{stored / 1e6:.2f} MB in {len(paths)} archives, one {size / stored:.0f}th of the bodies")


def _show_search(directory: Path) -> None:
    started = time.monotonic()
    found_by = Search([directory], make_query(types=["compute.instance.*.error"], where=["payload.memory_mb>=8192"]))
    found = [event for event, _ in found_by]
    took_ms = (time.monotonic() - started) * 1000
    step(
        "search",
        f"--type 'compute.instance.*.error' --where 'payload.memory_mb>=8192': {len(found)} events, {took_ms:.0f} ms",
    )
    step("", found_by.explain())
    for event in found[:3]:
        payload = orjson.loads(event.body)["payload"]
        step("", f"{format_time(event.time_us)}  {event.id}  {payload['display_name']} on {payload['host']}")
