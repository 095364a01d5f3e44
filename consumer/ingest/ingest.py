"""The life of ingest: one generation after the other, until told to stop.

Role: reconnect, pause, resume; what is done with deliveries is in `loop`, what belongs to one channel in `generation`.
Invariants: a disk that fails pauses the service and never ends it. A fault that a person must repair ends it only before the
first delivery could come, because later it may go away; a stall that a new connection does not end, a defect of the writer,
and a lock that was lost end it at any time. Whatever the end is, what is held is returned.
"""

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any

from consumer import log
from consumer.amqp.connection import Broker, Session
from consumer.errors import DeedboxError, Exit, Fatal, Retry, StorageFault
from consumer.ingest import log_events
from consumer.ingest.batches import Batches
from consumer.ingest.dedupe import Deduplicator
from consumer.ingest.generation import Archive, Counters, Generation, IngestSettings

NARROW_MAX = 6  # a window divided by 4096 is one message, whatever it was
ENDS = {Exit.STALLED, Exit.WRITER, Exit.INSTANCE}  # a new connection would not help
HELD_BATCHES = 4  # bytes held, at most, in batches of the largest size


class Ingest:
    """From a broker to an archive."""

    def __init__(self, broker: Broker, archive: Archive, deduplicator: Deduplicator, settings: IngestSettings) -> None:
        self._state, self._reason = "connecting", ""
        self.counters = Counters()
        self.generation: Generation | None = None
        self.deduplicator = deduplicator
        self._broker, self._archive, self._settings = broker, archive, settings
        self._narrow = settings.narrow
        self._retry_s = self._pause_s = settings.retry_s
        self._stopping = asyncio.Event()
        self._consumed = self._stalled = False
        self.settled = not settings.unsettled  # nothing that is archived comes again

    @property
    def state(self) -> str:
        """`connecting`, `consuming` or `paused`."""
        return "paused" if self.generation and self.generation.batches.blocked else self._state

    @property
    def reason(self) -> str:
        """Why it does not consume, and what to do; empty while it does, and before the first answer of the broker."""
        if self.state == "consuming":
            return ""
        return (self.generation.holding.reason if self.generation else "") or self._reason

    @property
    def held(self) -> int:
        """Deliveries received and not committed."""
        return self.generation.batches.held if self.generation else 0

    @property
    def consumed(self) -> bool:
        """Whether there ever was a generation that the broker delivered to."""
        return self._consumed

    async def run(self) -> None:
        """Until `stop`, and what was held then is committed. Raises Fatal."""
        while not self._stopping.is_set():
            generation = await self._open()
            if generation is None:
                return
            begun = time.monotonic()
            fault = await self._live(generation)
            if fault is not None:
                await self._until_disk_takes(fault.size)
            elif generation.holding.unproven:
                self._state, self._reason = (
                    "paused",
                    generation.holding.reason,
                )  # another delivery would bring a message nearer to its limit for nothing
                await self._until_disk_takes(generation.holding.unproven)
            elif not generation.commits and time.monotonic() - begun < self._settings.retry_s_max:
                await self._wait_longer()

    async def stop(self) -> None:
        """Take no more; `run` returns when what is held has been committed."""
        self._stopping.set()
        if self.generation is not None:
            await self.generation.stop()

    async def release(self) -> int:
        """Give back what is not committed, at once. Says how many deliveries that was."""
        held = self.held
        self.counters.returned += held
        if self.generation is not None:
            await self.generation.session.release()
        return held

    async def _open(self) -> Generation | None:
        """A generation, as soon as there can be one; None when told to stop before. Raises Fatal, the first time only."""
        self._state, self._reason, attempt = "connecting", "", 0
        while not self._stopping.is_set():
            attempt += 1
            log.emit(log_events.CONNECTING, broker=self._broker.shown, attempt=attempt)
            batches = Batches(self._settings.limits, HELD_BATCHES * self._settings.limits.bytes)
            try:
                session = await self._unless_stopped(self._broker.open(batches.put))
            except DeedboxError as error:
                if isinstance(error, Fatal) and not self._consumed:
                    raise
                self._reason, wait_s = str(error), round(self._retry_s, 1)
                log.emit(log_events.CONNECT_FAILED, broker=self._broker.shown, reason=error.what, wait_s=wait_s)
                await self._wait_longer()
                continue
            if session is not None and self._stopping.is_set():
                await session.release()  # told to stop in the moment in which it opened: nobody else knows of it
            elif session is not None:
                return Generation(session, batches, self._archive, self.deduplicator, self._settings)
        return None

    async def _unless_stopped(self, opening: Coroutine[Any, Any, Session]) -> Session | None:
        """The session, or None if told to stop first; a broker that does not answer holds nothing up."""
        task = asyncio.create_task(opening)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        return None if task.cancelled() else task.result()

    async def _wait_longer(self) -> None:
        """Wait before the next attempt, longer each time until something works, and never in step with others."""
        await self._sleep(self._retry_s * random.uniform(0.5, 1.0))
        self._retry_s = min(2 * self._retry_s, self._settings.retry_s_max)

    async def _sleep(self, wait_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), wait_s)
        except TimeoutError:
            pass  # the usual case: nobody told us to stop

    async def _live(self, generation: Generation) -> StorageFault | None:
        """Run a generation to its end, and leave nothing of it behind. Gives the fault of the disk that ended it."""
        self.generation, self._state = generation, "consuming"
        try:
            await generation.run(max(1, self._settings.prefetch >> 2 * self._narrow), self.counters, self._stalled)
        except StorageFault as fault:
            self._state, self._reason = "paused", str(fault)
            self.counters.returned += self.held
            log.emit(log_events.PAUSED, reason=fault.reason, detail=str(fault), returned=self.held)
            return fault
        except (Retry, Fatal) as error:
            first = not (self._consumed or generation.consumed)
            if isinstance(error, Fatal) and (first or error.exit in ENDS):
                raise
            generation.session.end(error.what)
        finally:
            if self._state != "paused":
                self._say_end(generation)
            await generation.release()
            self._learn(generation)
            self.generation = None
        return None

    def _learn(self, generation: Generation) -> None:
        """What the next generation should do differently.

        A generation that received and committed nothing has cost each message of its window a delivery, and a quorum
        queue drops messages that were delivered too often: the next window is smaller.
        """
        self._consumed = self._consumed or generation.consumed
        self.settled = generation.settled and (self.settled or self.deduplicator.forgotten)
        self._stalled = generation.session.stalled
        if generation.commits:
            self._narrow, self._retry_s, self._pause_s = 0, self._settings.retry_s, self._settings.retry_s
        elif generation.batches.received:
            self._narrow = min(self._narrow + 1, NARROW_MAX)

    def _say_end(self, generation: Generation) -> None:
        session = generation.session
        if not session.ended.done() or self._stopping.is_set():
            return
        if session.cancelled_by_broker:
            log.emit(log_events.CONSUMER_CANCELLED, queue=session.queue, generation=session.generation)
        else:
            log.emit(
                log_events.CONNECTION_LOST, generation=session.generation, reason=session.ended.result(), held=self.held
            )

    async def _until_disk_takes(self, size: int) -> None:
        """Probe with the size that failed. The waits grow from one pause to the next, until something is committed."""
        started = time.monotonic()
        while not self._stopping.is_set():
            await self._sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, self._settings.retry_s_max)
            try:
                await self._archive.probe(size)
            except StorageFault as fault:
                self._reason, paused_s = str(fault), round(time.monotonic() - started)
                log.emit(log_events.STILL_PAUSED, reason=fault.reason, detail=fault.what, paused_s=paused_s)
                continue
            log.emit(log_events.RESUMED, paused_s=round(time.monotonic() - started, 1))
            return
