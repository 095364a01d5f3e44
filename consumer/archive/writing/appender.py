"""The async face of the archive_log: appends, rolls and probes on one writer thread, never on the loop.

Invariant: what changes in the archive_log is touched by its thread alone; the loop reads `snapshot`, which is frozen. An append that has begun is never cancelled half way: cancelling the
caller leaves the thread to finish, and the next append waits for it.
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

LOOK_S_MAX = 1.0  # how late a roll by age or clock may be


class Appender:
    """Append from the event loop."""

    def __init__(self, archive_log: ArchiveLog) -> None:
        self.snapshot = archive_log.snapshot()  # as of the last step; replaced as a whole by the writer thread
        self._archive_log = archive_log
        self._thread = StepThread("writer")

    async def append(self, make_events: Callable[[], Sequence[Event]]) -> Receipt:
        """Make what `make_events` gives durable. Both run on the writer thread.

        Raises StorageFault; then nothing of it counts as written.
        """
        return await self.run(lambda: self._archive_log.append(make_events()))

    async def roll_if_due(self) -> None:
        """Seal the open archive if it is full or old enough."""
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
        """Prove that the disk takes this number of bytes, and at least a small write. Raises StorageFault."""
        await self.run(lambda: self._archive_log.probe(size))

    async def close(self) -> None:
        """Seal what is open and end the thread."""
        await self.roll(RollReason.STOP)
        self._thread.end()

    async def run(self, step: Callable[[], T]) -> T:
        """Run a step on the writer thread. Raises DeedboxError as the step does; any other exception is a defect, and Fatal."""
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
