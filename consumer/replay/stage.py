"""The stage of `deedbox run` that publishes the archived events to another broker, in a process of its own.

Invariants: nothing of the other broker ends the service or slows ingest: if the process ends by itself, it is started again. Draining lets it
finish the batch that it publishes, for DRAIN_S at most; after that, and at the deadline, it is killed. What it had not confirmed is published again later.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from consumer import log
from consumer.amqp.tls import tls_context
from consumer.log import LogEvent
from consumer.replay import log_events
from consumer.replay.mirror import query_of
from consumer.replay.mirror_worker import DRAIN_S, Order
from consumer.replay.settings import ReplaySection

KILL_S = 1.0  # after DRAIN_S
RETRY_S, RETRY_S_MAX = 1.0, 60.0
LINE_BYTES_MAX = 1 << 20
_EVENTS = {event.name: event for event in vars(log_events).values() if isinstance(event, LogEvent)}


class ReplayStage:
    """The stage. `every_s`: between two lines of the log about its progress."""

    name = "replay"

    def __init__(self, directory: Path, settings: ReplaySection, instance: str, every_s: float) -> None:
        name = f"deedbox {instance} mirror"
        self._order = Order(str(directory.absolute()), name, settings)
        self._every_s, self._next_line = every_s, 0.0
        self._progress: dict[str, object] = {}
        self._draining = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Mirror until `drain`."""
        wait_s = RETRY_S
        try:
            while not self._draining.is_set():
                reason = await self._run_worker()
                if self._draining.is_set():
                    return
                log.emit(log_events.MIRROR_ENDED, reason=reason, wait_s=wait_s)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._draining.wait(), wait_s)
                wait_s = min(2 * wait_s, RETRY_S_MAX)
        finally:
            self._ended.set()

    async def _run_worker(self) -> str:
        """Start the process and read its log until it ends. Return how it ended."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "consumer.replay.mirror_worker", stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES_MAX, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return f"it cannot be started: {error.strerror or error}"
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        with suppress(OSError):  # it has ended already
            process.stdin.write(msgspec.json.encode(self._order) + b"\n")
            await process.stdin.drain()
        if self._draining.is_set():
            process.stdin.close()
        async for line in process.stdout:
            self._take(line)
        status = await process.wait()
        self._process = None
        return f"status {status}"

    def _take(self, line: bytes) -> None:
        """Log a line of the process again. Its progress is kept, and logged at times."""
        try:
            found = msgspec.json.decode(line, type=dict[str, object])
        except msgspec.MsgspecError:
            return  # a library printed something
        event = _EVENTS.get(str(found.get("event")))
        if event is None:
            return
        fields = {name: found[name] for name in event.fields if name in found}
        if event is log_events.MIRROR_PROGRESS:
            self._progress = fields
            now = asyncio.get_running_loop().time()
            if now < self._next_line:
                return
            self._next_line = now + self._every_s
        log.emit(event, **fields)

    async def drain(self, deadline: float) -> int | None:
        """As `Stage.drain`; it gives nothing back, because all events stay in the archive."""
        self._draining.set()
        loop = asyncio.get_running_loop()
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
        if not await self._ends_by(min(deadline, loop.time() + DRAIN_S + KILL_S)) and self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._ends_by(loop.time() + KILL_S)
        return None

    async def _ends_by(self, deadline: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._ended.wait()
        return self._ended.is_set()

    def stats(self) -> dict[str, object]:
        """The fields of `mirror_progress`; empty before the first one."""
        return self._progress

    def summary(self) -> str:
        """The state and the lag, for the health file."""
        return f"{self._progress.get('state', 'starting')}, {self._progress.get('behind', 0)} behind"


def replay_stage(directory: Path, settings: ReplaySection, instance: str, every_s: float) -> ReplayStage | None:
    """The stage; None if no URL is set. Raises Fatal for a setting that is wrong. Call it in the event loop."""
    if not settings.url:
        return None
    tls_context(settings.topology(""), "replay")
    query_of(settings)
    return ReplayStage(directory, settings, instance, every_s)
