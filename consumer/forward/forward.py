"""The command `watch`, called by `cli`: new lines of files, published to an exchange with confirms.

Invariants: a position is stored only after the broker has confirmed every line before it, and has taken each into a queue. A
crash between the two publishes lines again, under the same message ids, by which a reader can know them. Files are looked at
while the broker is away, too: one that is rotated and removed meanwhile is read from its open descriptor.
"""

import asyncio
import os
import signal
import ssl
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yarl import URL

from consumer import log
from consumer import log_events as service_events
from consumer.amqp.errors import LOST, reason_of
from consumer.amqp.publish import Publisher, Refused
from consumer.amqp.tls import tls_context
from consumer.amqp.topology import Topology
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal, Retry
from consumer.forward import log_events
from consumer.forward.messages import Messages, shown
from consumer.forward.settings import WatchSection
from consumer.forward.state import WatchState
from consumer.watch import log_events as watch_events
from consumer.watch.backend import Backend
from consumer.watch.backends import choose
from consumer.watch.follower import FileFollower
from consumer.watch.lines import Line
from consumer.watch.paths import directories_of

LOOK_S = 0.5
STORE_S = 0.5  # between two stores: a crash publishes so much again
WAIT_S_MIN, WAIT_S_MAX = 0.5, 30.0
TRIES = 3  # of a message that the broker refuses, before it is set aside
HEARTBEAT_S = 10


@dataclass(frozen=True)
class Target:
    """Where lines go. `context`: for an amqps URL."""

    url: str
    exchange: str
    routing_key: str
    context: ssl.SSLContext | None = None


class Watching:
    """Three tasks: one looks at the files, one reads and publishes, one stores."""

    def __init__(
        self, paths: Sequence[Path], target: Target, state: WatchState, backend: Backend, from_start: bool = False
    ) -> None:
        absolute = [path.absolute() for path in paths]
        self._target, self._state, self._backend = target, state, backend
        self._paths = absolute
        self._arm()  # before a file is opened, so that no rename is missed
        self._backend.renames()
        self._followers = [
            FileFollower(path, state.known.get(shown(path)), from_start, absolute) for path in dict.fromkeys(absolute)
        ]
        state.store({shown(follower.path): follower.positions() for follower in self._followers})
        self._messages = Messages(target.exchange, target.routing_key)
        self._source = self._followers[0]  # of the lines that are held
        self.held: deque[Line] = deque()  # read, and not confirmed
        self._singly = False  # after a refusal: one by one, to find out which one it was
        self._tries = 0
        self.published = 0
        self._turn = 0
        self._sending = False
        self._files = asyncio.Lock()  # one task at a time uses the followers
        self._looked = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Publish what is being published, and end."""
        self._stopping.set()
        self._looked.set()
        self._backend.interrupt()

    async def run(self, drain_s: float = 0.0) -> bool:
        """Until `stop`, and then for `drain_s` at most; whether it ended in time. Faults of the broker are tried again.

        Raises Fatal for those that a person must repair, if nothing could be published yet; DeedboxError if the state
        cannot be stored.
        """
        log.emit(
            log_events.WATCHING, files=len(self._followers), exchange=self._target.exchange, backend=self._backend.name
        )
        publishing = asyncio.create_task(self._keep_publishing())
        working = [publishing, asyncio.create_task(self._keep_looking()), asyncio.create_task(self._keep_storing())]
        tasks: list[asyncio.Task[Any]] = [*working, asyncio.create_task(self._stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._sending and self._stopping.is_set():
                await asyncio.wait([publishing], timeout=drain_s)
            for task in working:
                if task.done():
                    task.result()
            return not self._sending
        finally:
            self._backend.interrupt()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._store()
            for follower in self._followers:
                follower.close()

    # The files

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.to_thread(self._backend.wait_for_changes, LOOK_S)
            async with self._files:
                await asyncio.to_thread(self._look)
            self._looked.set()

    def _look(self) -> None:
        self._arm()
        changes = self._backend.renames()
        for follower in self._followers:
            try:
                follower.look(changes)
            except OSError as error:
                log.emit(watch_events.WATCH_FAILED, reason=f"{follower.path}: {error.strerror or error}")

    def _arm(self) -> None:
        try:
            self._backend.watch(set().union(*map(directories_of, self._paths)))
        except OSError as error:  # no more watches to be had: the files are looked at every LOOK_S
            log.emit(watch_events.WATCH_FAILED, reason=str(error))

    async def _read(self) -> None:
        """Hold the next lines of the next file that has some: a busy one starves no other."""
        for _ in self._followers:
            self._turn = (self._turn + 1) % len(self._followers)
            self._source = self._followers[self._turn]
            async with self._files:
                self.held.extend(await asyncio.to_thread(self._source.read))
            if self.held:
                return

    # The state

    async def _keep_storing(self) -> None:
        """Every STORE_S, because a sync may take longer than a publish; and while the broker is away, too.

        By the size that a file had, the next start knows what was lost of it if it is gone.
        """
        while True:
            await asyncio.sleep(STORE_S)
            try:
                await self._store()
            except Retry as fault:  # a crash publishes more again, and none is lost
                log.emit(watch_events.WATCH_FAILED, reason=str(fault))

    async def _store(self) -> None:
        async with self._files:
            positions = {shown(follower.path): follower.positions() for follower in self._followers}
        await asyncio.to_thread(self._state.store, positions)

    # The broker

    async def _keep_publishing(self) -> None:
        wait_s = WAIT_S_MIN
        while not self._stopping.is_set():
            before = self.published
            try:
                async with Publisher(self._target.url, self._target.context) as publisher:
                    await publisher.find(self._target.exchange, self._target.routing_key)
                    while not self._stopping.is_set():
                        await self._round(publisher)
                return
            except (Fatal, Retry) as fault:
                if isinstance(fault, Fatal) and not self.published:
                    raise
                reason = fault.what
            except Refused as fault:
                self._singly, reason = True, str(fault)
            except LOST as fault:
                reason = reason_of(fault)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # an error of the library, on its way out, must not stand in for it
            wait_s = WAIT_S_MIN if self.published > before else min(2 * wait_s, WAIT_S_MAX)
            log.emit(log_events.PUBLISH_FAILED, reason=reason, lines=len(self.held), wait_s=wait_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)

    async def _round(self, publisher: Publisher) -> None:
        self._looked.clear()
        if not self.held:
            await self._read()
        if not self.held:
            await self._looked.wait()
            return
        if not self._state.knows(shown(self._source.path), self._source.positions()):
            await self._store()  # the content_id is durable before a message id is made of it
        self._sending = True
        try:
            while self.held:
                await self._send(publisher)
            self._singly = False
            async with self._files:
                self._source.confirm()
        finally:
            self._sending = False

    async def _send(self, publisher: Publisher) -> None:
        """Publish what is held; the first of it only, while it is to be found out which message is refused."""
        lines = [self.held[0]] if self._singly else list(self.held)
        try:
            path = self._source.path
            await publisher.publish((self._messages.of(line, path) for line in lines), mandatory=True)
        except Refused as refused:
            self._tries += self._singly
            if self._tries >= TRIES:
                await self._set_aside(str(refused))
            raise
        finally:
            self._release(frozenset(publisher.confirmed))
        self._tries = 0

    def _release(self, confirmed: Collection[int]) -> None:
        """Hold the lines no more that were confirmed: a full queue may take some of a batch each time, and never all."""
        self.published += len(confirmed)
        if confirmed:
            self.held = deque(line for number, line in enumerate(self.held) if number not in confirmed)

    async def _set_aside(self, reason: str) -> None:
        line = self.held[0]
        about = {"path": shown(self._source.path), "position": line.offset, "reason": reason}
        properties = self._messages.of(line, self._source.path).properties
        kept = await asyncio.to_thread(
            self._state.set_aside, line.text, {**about, "message_id": properties["message_id"]}
        )
        log.emit(log_events.MESSAGE_REFUSED, **about, bytes=len(line.text), kept=kept)
        self.held.popleft()
        self._tries = 0


def watch_files(paths: Sequence[Path], section: WatchSection, topology: Topology, drain_s: float) -> Exit:
    """Watch until SIGTERM or SIGINT, and then for `drain_s` seconds at most. Raises DeedboxError and OSError."""
    url = str(URL(topology.url).update_query(heartbeat=HEARTBEAT_S, name="deedbox watch"))
    target = Target(url, section.exchange, section.routing_key, tls_context(topology))
    state = WatchState(Disk(), Path(section.state) if section.state else None)

    async def serve() -> Exit:
        backend = choose(section.backend or None, every_write=True)
        watching = Watching(paths, target, state, backend, section.from_start)
        _stop_on_signals(watching)
        in_time = await watching.run(drain_s)
        log.emit(log_events.WATCH_STOPPED, published=watching.published, held=len(watching.held))
        return Exit.OK if in_time else Exit.DEADLINE

    try:
        return asyncio.run(serve())
    finally:
        state.close()


def _stop_on_signals(watching: Watching) -> None:
    loop = asyncio.get_running_loop()
    asked: list[signal.Signals] = []

    def on_signal(sign: signal.Signals) -> None:
        if asked:  # asked twice: somebody is in a hurry
            log.flush()
            os._exit(Exit.DEADLINE)
        asked.append(sign)
        log.emit(service_events.DRAINING, signal=sign.name, held=len(watching.held))
        watching.stop()

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, on_signal, sign)
