"""The command `watch`: publishes new lines of files to an exchange, with confirms.

Invariant: a position is stored only after the broker has confirmed every line before it. After a crash between the two, the lines
are published again under the same message ids.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yarl import URL

from consumer import log
from consumer import log_events as service_events
from consumer.amqp.tls import tls_context
from consumer.amqp.topology import Topology
from consumer.disk.durable import Disk
from consumer.errors import Exit
from consumer.forward import log_events
from consumer.forward.followed_files import FollowedFiles
from consumer.forward.line_publisher import LinePublisher, Target
from consumer.forward.settings import WatchSection
from consumer.forward.state import WatchState
from consumer.watch.backend import Backend
from consumer.watch.backends import choose

HEARTBEAT_S = 10


class LineForwarder:
    """Runs three tasks: one checks the files, one reads and publishes lines, one stores positions."""

    def __init__(
        self, paths: Sequence[Path], target: Target, state: WatchState, backend: Backend, from_start: bool = False
    ) -> None:
        self._target, self._backend = target, backend
        self._files = FollowedFiles(paths, state, backend, from_start)
        self._publisher = LinePublisher(target, self._files, state)
        self._stopping = asyncio.Event()

    @property
    def held(self) -> int:
        """How many lines were read and are not confirmed."""
        return len(self._publisher.held)

    @property
    def published(self) -> int:
        """How many lines the broker has confirmed."""
        return self._publisher.published

    def stop(self) -> None:
        """End after the lines that are being published."""
        self._stopping.set()
        self._files.interrupt()

    async def run(self, drain_s: float = 0.0) -> bool:
        """Run until `stop`, and then for at most `drain_s` seconds. Return whether it ended in that time.

        Faults of the broker are tried again. Raises Fatal for a fault that an operator must repair, if no line was
        published yet; DeedboxError if the positions cannot be stored.
        """
        files, exchange = len(self._files), self._target.exchange
        log.emit(log_events.WATCHING, files=files, exchange=exchange, backend=self._backend.name)
        publishing = asyncio.create_task(self._publisher.run(self._stopping))
        checking = asyncio.create_task(self._files.keep_checking())
        storing = asyncio.create_task(self._files.keep_storing())
        working = [publishing, checking, storing]
        tasks: list[asyncio.Task[Any]] = [*working, asyncio.create_task(self._stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._publisher.is_sending and self._stopping.is_set():
                await asyncio.wait([publishing], timeout=drain_s)
            for task in working:
                if task.done():
                    task.result()
            return not self._publisher.is_sending
        finally:
            await self._end(tasks)

    async def _end(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        self._backend.interrupt()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._files.store()
        self._files.close()


def watch_files(paths: Sequence[Path], section: WatchSection, topology: Topology, drain_s: float) -> Exit:
    """Watch until SIGTERM or SIGINT, and then for `drain_s` seconds at most. Raises DeedboxError and OSError."""
    url = str(URL(topology.url).update_query(heartbeat=HEARTBEAT_S, name="deedbox watch"))
    target = Target(url, section.exchange, section.routing_key, tls_context(topology))
    state = WatchState(Disk(), Path(section.state) if section.state else None)

    async def serve() -> Exit:
        backend = choose(section.backend or None, every_write=True)
        forwarder = LineForwarder(paths, target, state, backend, section.from_start)
        _stop_on_signals(forwarder)
        in_time = await forwarder.run(drain_s)
        log.emit(log_events.WATCH_STOPPED, published=forwarder.published, held=forwarder.held)
        return Exit.OK if in_time else Exit.DEADLINE

    try:
        return asyncio.run(serve())
    finally:
        state.close()


def _stop_on_signals(forwarder: LineForwarder) -> None:
    """The first signal drains; the second one ends the process at once."""
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def on_signal(sign: signal.Signals) -> None:
        if received:
            log.flush()
            os._exit(Exit.DEADLINE)
        received.append(sign)
        log.emit(service_events.DRAINING, signal=sign.name, held=forwarder.held)
        forwarder.stop()

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, on_signal, sign)
