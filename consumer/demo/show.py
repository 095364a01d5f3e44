"""`deedbox demo`: notifications are archived while the service is killed with kill -9, and nothing is lost.

Nothing is simulated: it uses a real broker, a `deedbox run` process, signals, and the functions of the ordinary commands.
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
EVENTS_MIN = 100  # with fewer, at the time of the kill possibly none is durable, or none is still to be delivered


def show(count: int, keep: Path | None, environ: Mapping[str, str]) -> int:
    """Run the demo and print each step. The exit status is 0 only if no event was lost and none is archived twice without a mark.

    Raises Fatal before anything is started if `count` is too small or if the directory `keep` is not empty.
    """
    if count < EVENTS_MIN:
        raise Fatal(Exit.SETTINGS, f"--events {count}", f"use {EVENTS_MIN} or more")
    if keep is not None:
        _make_empty(keep)
    print_line(f"Deedbox demo: {count:,} OpenStack notifications, one kill -9, nothing lost.")
    if keep is not None:
        return _demo(keep, count, environ)
    with tempfile.TemporaryDirectory(prefix="deedbox-demo-") as directory:
        return _demo(Path(directory), count, environ)


def _make_empty(keep: Path) -> None:
    """Make the directory. Archives of an earlier run would be counted as those of this demo."""
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise Fatal(Exit.SETTINGS, f"--keep {keep}: the directory is not empty", "use a new or an empty directory")


def print_line(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def step(title: str, text: str) -> None:
    """Print one step of the demo."""
    print_line(f"  {title:<11} {text}")


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
    print_line(
        "Nothing was lost. To archive your own exchange, see `deedbox run --help`."
        if well and whole
        else "FAILED: see the lines above."
    )
    return Exit.OK if well and whole else Exit.DAMAGED


class Run:
    """A `deedbox run` process. It ends when the block ends, also by an exception."""

    def __init__(self, url: str, name: str, directory: Path) -> None:
        self.name, self._directory = name, directory
        self.url = url
        self._relay = (
            None if urlsplit(url).scheme == "amqps" else Relay(url)
        )  # a relay does not have the certificate of the broker
        self._log = directory / "demo.log"
        self.process = self._start()

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
        """Kill the process if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def lines(self, event: str) -> list[dict[str, object]]:
        """The lines of this event in the log of the service."""
        whole = [line for line in self._log.read_bytes().split(b"\n")[:-1] if line.startswith(b"{")]
        return [line for line in map(orjson.loads, whole) if line["event"] == event]

    def wait_for(self, event: str, count: int) -> dict[str, object]:
        """Wait for the `count`th line of this event. Raises DeedboxError if it does not come."""
        deadline = time.monotonic() + WAIT_S_MAX
        while len(found := self.lines(event)) < count:
            if self.process.poll() is not None or time.monotonic() > deadline:
                what = f"the service did not log {event!r}; the end of its log: {self._log.read_text()[-800:]}"
                raise DeedboxError(what, "the log gives the reason")
            time.sleep(0.02)
        return found[count - 1]

    def events(self) -> int:
        """How many events are durable now."""
        return sum(
            batch.header.events for path in find_archives([self._directory]) for batch in _batches(path, frames=False)
        )

    def unmarked(self) -> int:
        """How many events are durable now and not marked as duplicates."""
        return sum(1 for _ in Archives([self._directory]).search())

    def lose_acks(self) -> None:
        """From now on the broker receives no acknowledgement, as just before a connection fails."""
        if self._relay is not None:
            self._relay.mute()
            step("lost acks", "the demo now blocks the acknowledgements, as a failing network does")

    def wait_for_events(self, count: int, events: Callable[[], int] | None = None) -> None:
        """Wait until `count` events are durable, as the function `events` counts them."""
        deadline = time.monotonic() + WAIT_S_MAX
        while (events or self.events)() < count and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def kill_and_restart(self) -> None:
        """Kill the service, as the out-of-memory killer does, and start it again, as a container runtime does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self._relay is not None:
            self._relay.cut()
        step("kill -9", f"the service was killed; {self.events():,} events were durable")
        self.process = self._start()
        found = self.wait_for("recovered", 1)
        step(
            "recovered",
            f"the service started again and sealed the open archive: {found['events']:,} events, {found['torn_bytes']} torn bytes",
        )
        again = self.wait_for("consuming", 2)
        step(
            "consuming",
            f"deliveries come again; the prefetch is {again['prefetch']:,} until the first commit after the crash",
        )

    def stop(self) -> None:
        """Stop the service by SIGTERM: it drains and seals the open archive."""
        self.process.terminate()
        status = self.process.wait(WAIT_S_MAX)
        step("stopped", f"the service ended after SIGTERM, with exit status {status}")


async def _use(run: Run, messages: list[Notification]) -> None:
    """Use the service. It is killed if the demo is interrupted, so that no thread waits for it."""
    try:
        await _publish_and_kill(run, messages)
    finally:
        run.kill()


async def _publish_and_kill(run: Run, messages: list[Notification]) -> None:
    """Publish; kill the service when half of the messages are acknowledged, a few more are durable, and the others are not yet delivered."""
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
        rate = f"{len(messages) / passed:,.0f} a second, with the crash"
        step(
            "published",
            f"{len(messages):,} notifications ({size / 1e6:.0f} MB) through a quorum queue, all archived: {rate}",
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
    """Whether every notification is archived once, byte for byte; copies that are marked as duplicates do not count."""
    archived = [(event.id, event.body) for event in Archives([directory]).search()]
    missing = {(m.message_id, m.body) for m in messages} - set(archived)
    step(
        "compared",
        f"{len(messages) - len(missing):,} of {len(messages):,} notifications are archived byte for byte, {len(archived) - len(set(archived))} of them twice without a mark",
    )
    return not missing and len(archived) == len(messages)


def _show_marked(directory: Path) -> None:
    marked = list(Archives([directory]).search(duplicates="only"))
    step(
        "marked",
        f"{len(marked):,} events were archived and not acknowledged when the service was killed; the broker delivered them again, and the copies are marked",
    )
    for event in marked[:1]:
        step("", f"for example {event.position} is a duplicate of {event.duplicate}; readers hide it by default")


def _show_sizes(directory: Path, size: int) -> None:
    paths = find_archives([directory])
    stored = sum(path.stat().st_size for path in paths)
    step("size", f"{stored / 1e6:.2f} MB in {len(paths)} archives, 1/{size / stored:.0f} of the size of the bodies")


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
