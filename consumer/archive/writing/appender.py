"""The asynchronous interface of the archive log: appends, rolls and probes run on one writer thread, never on the event loop.

Invariants: only the writer thread uses the archive log; the event loop reads `snapshot`, which is frozen. An append that has
begun always ends: if its caller is cancelled, the thread finishes it, and the next append waits for that.
"""

import asyncio
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from codec.event import Event
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.archive.writing.rolling import RollReason, next_look_s, roll_reason
from consumer.archive.writing.writer import Receipt
from consumer.disk.worker_thread import StepThread
from consumer.errors import DeedboxError, Exit, Fatal

T = TypeVar("T")

LOOK_S_MAX = 1.0  # the longest delay of a roll by age or clock, in seconds


class Appender:
    """Append from the event loop."""

    def __init__(self, archive_log: ArchiveLog) -> None:
        self.snapshot = archive_log.snapshot()  # after the last step; the writer thread replaces it
        self._archive_log = archive_log
        self._thread = StepThread("writer")

    async def append(self, make_events: Callable[[], Sequence[Event]]) -> Receipt:
        """Make the events that `make_events` returns durable. Both run on the writer thread.

        Raises StorageFault; then none of the events counts as written.
        """
        return await self.run(lambda: self._archive_log.append(make_events()))

    async def roll_if_due(self) -> None:
        """Seal the open archive if it has reached a limit."""
        await self.run(self._roll_if_due)

    def _roll_if_due(self) -> None:
        if reason := self._archive_log.due():
            self._archive_log.roll(reason)

    async def roll(self, reason: RollReason) -> None:
        """Seal the open archive."""
        await self.run(lambda: self._archive_log.roll(reason))

    async def run_timer(self) -> None:
        """Roll by age and by clock, with or without traffic, until cancelled."""
        while True:
            settings, clock, wall = self._archive_log.settings, self._archive_log.clock, self._archive_log.wall
            fill = self.snapshot.fill
            wait_s = next_look_s(settings.policy, fill, clock(), wall()) if fill else None
            await asyncio.sleep(min(wait_s or LOOK_S_MAX, LOOK_S_MAX))
            fill = self.snapshot.fill
            if fill and roll_reason(settings.policy, fill, clock(), wall()):
                await self.roll_if_due()

    async def probe(self, size: int = 0) -> None:
        """Check that the disk accepts this number of bytes, or at least a small write. Raises StorageFault."""
        await self.run(lambda: self._archive_log.probe(size))

    async def close(self) -> None:
        """Seal the open archive and end the thread."""
        await self.roll(RollReason.STOP)
        self._thread.end()

    async def run(self, step: Callable[[], T]) -> T:
        """Run a step on the writer thread. Raises DeedboxError as the step does; any other exception is a defect and raises Fatal."""
        try:
            return await self._thread.run(lambda: self._step(step))
        except DeedboxError:
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            what = f"the writer failed: {error!r} at {Path(place.filename).name}:{place.lineno}"
            raise Fatal(Exit.WRITER, what, "report it, it is a defect of Deedbox; do not restart in a loop") from error

    def _step(self, step: Callable[[], T]) -> T:
        try:
            return step()
        finally:
            self.snapshot = self._archive_log.snapshot()
