"""Run generations one after the other until `stop`: connect, pause, resume, reconnect.

`loop` processes deliveries; `generation` holds the state of one session.
Invariants: a disk fault pauses the service and never ends it. An error that a person must fix ends the service only before the
broker accepted a consumer; later it may be temporary. Three errors end it at any time: a stall that a new connection
did not end, a defect of the writer, and a lost instance lock. At every end the held messages are returned.
"""

import asyncio
import random
import time
from collections.abc import Coroutine
from enum import StrEnum
from typing import Any

from consumer import log
from consumer.amqp.connection import Broker
from consumer.amqp.session import EndCause, Session
from consumer.errors import DeedboxError, Exit, Fatal, Retry, StorageFault
from consumer.ingest import log_events
from consumer.ingest.buffer import DeliveryBuffer
from consumer.ingest.counters import Counters
from consumer.ingest.dedupe import Deduplicator
from consumer.ingest.generation import Generation, IngestSettings
from consumer.ingest.interfaces import DurableAppender

REDUCTIONS_MAX = 6  # the prefetch divided by 4 ** 6 is at most 15
ALWAYS_FATAL = {Exit.STALLED, Exit.WRITER, Exit.INSTANCE}  # a new connection would not help
HELD_BATCHES_MAX = 4  # the bound on held bytes, in batches of the largest size


class IngestState(StrEnum):
    """The current state of ingest. Its values appear in the log and in the health file."""

    CONNECTING = "connecting"
    CONSUMING = "consuming"
    PAUSED = "paused"


class Ingest:
    """Moves messages from a broker to an archive.

    `settled`: no message that is archived can be delivered again. `emptied`: `run` has ended because the queue was empty.
    """

    def __init__(
        self, broker: Broker, archive: DurableAppender, deduplicator: Deduplicator, settings: IngestSettings
    ) -> None:
        self._state, self._reason = IngestState.CONNECTING, ""
        self.counters = Counters()
        self.generation: Generation | None = None
        self.deduplicator = deduplicator
        self._broker, self._archive, self._settings = broker, archive, settings
        self._reductions = settings.prefetch_reductions
        self._retry_s = self._pause_s = settings.retry_s
        self._stopping = asyncio.Event()
        self._consumed = self._stalled = self.emptied = False
        self.settled = not settings.unsettled

    @property
    def state(self) -> IngestState:
        """The current state of ingest."""
        return IngestState.PAUSED if self.generation and self.generation.buffer.blocked else self._state

    @property
    def reason(self) -> str:
        """The reason why ingest does not consume, and the action of the operator. Empty while it consumes, and until the first attempt has failed."""
        if self.state is IngestState.CONSUMING:
            return ""
        return (self.generation.failed_batches.reason if self.generation else "") or self._reason

    @property
    def held(self) -> int:
        """Number of deliveries received and not committed."""
        return self.generation.buffer.held if self.generation else 0

    @property
    def consumed(self) -> bool:
        """Whether the broker has accepted a consumer since the start."""
        return self._consumed

    async def run(self) -> None:
        """Run until `stop` was called and the held deliveries are committed, or until the queue is empty if that is asked for. Raises Fatal."""
        while not self._stopping.is_set():
            generation = await self._open()
            if generation is None:
                return
            begun = time.monotonic()
            fault = await self._run(generation)
            if self.emptied:
                log.emit(log_events.EMPTIED, queue=generation.session.queue, archived=self.counters.archived)
                return
            if fault is not None:
                await self._wait_for_disk(fault.size)
            elif generation.failed_batches.bytes_to_probe:
                # Another delivery would bring the messages nearer to the limit, and the disk would fail again.
                self._state, self._reason = IngestState.PAUSED, generation.failed_batches.reason
                await self._wait_for_disk(generation.failed_batches.bytes_to_probe)
            elif not generation.commits and time.monotonic() - begun < self._settings.retry_s_max:
                await self._wait_longer()

    async def stop(self) -> None:
        """Accept no more deliveries. `run` returns when the held ones are committed."""
        self._stopping.set()
        if self.generation is not None:
            await self.generation.stop()

    async def release(self) -> int:
        """Return to the broker the deliveries that are not committed, at once. Return their number."""
        held = self.held
        self.counters.returned += held
        if self.generation is not None:
            await self.generation.session.release()
        return held

    async def _open(self) -> Generation | None:
        """Connect until it succeeds, and return the generation; None after `stop`. Raises Fatal only before the first consumer."""
        self._state, self._reason, attempt = IngestState.CONNECTING, "", 0
        while not self._stopping.is_set():
            attempt += 1
            log.emit(log_events.CONNECTING, broker=self._broker.shown, attempt=attempt)
            buffer = DeliveryBuffer(self._settings.limits, HELD_BATCHES_MAX * self._settings.limits.bytes)
            try:
                session = await self._unless_stopped(self._broker.open(buffer.put))
            except DeedboxError as error:
                if isinstance(error, Fatal) and self._ends_all(error, first=not self._consumed):
                    raise
                self._reason, wait_s = str(error), round(self._retry_s, 1)
                log.emit(log_events.CONNECT_FAILED, broker=self._broker.shown, reason=error.what, wait_s=wait_s)
                await self._wait_longer()
                continue
            if session is not None and self._stopping.is_set():
                await session.release()  # `stop` was called while it opened, and did not see it
            elif session is not None:
                return Generation(session, buffer, self._archive, self.deduplicator, self._settings)
        return None

    async def _unless_stopped(self, opening: Coroutine[Any, Any, Session]) -> Session | None:
        """Return the session, or None if `stop` is called first, so that a broker without an answer does not delay the stop."""
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
        """Wait before the next attempt. The wait doubles each time, and is random so that instances do not retry together."""
        await self._sleep(self._retry_s * random.uniform(0.5, 1.0))
        self._retry_s = min(2 * self._retry_s, self._settings.retry_s_max)

    async def _sleep(self, wait_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), wait_s)
        except TimeoutError:
            pass  # the wait is over, and `stop` was not called

    async def _run(self, generation: Generation) -> StorageFault | None:
        """Run a generation until it ends, and release it. Return the storage fault that ended it, if one did."""
        self.generation, self._state = generation, IngestState.CONSUMING
        try:
            prefetch = max(1, self._settings.prefetch >> 2 * self._reductions)
            await generation.run(prefetch, self.counters, self._stalled)
        except StorageFault as fault:
            self._state, self._reason = IngestState.PAUSED, str(fault)
            self.counters.returned += self.held
            log.emit(log_events.PAUSED, reason=fault.reason, detail=str(fault), returned=self.held)
            return fault
        except (Retry, Fatal) as error:
            first = not (self._consumed or generation.consumed)
            if isinstance(error, Fatal) and self._ends_all(error, first):
                raise
            generation.session.end(EndCause.LOST, error.what)
        finally:
            if self._state is not IngestState.PAUSED:
                self._report_end(generation)
            await generation.release()
            self._learn(generation)
            self.generation = None
        return None

    def _ends_all(self, error: Fatal, first: bool) -> bool:
        """Whether the error ends the service. `first`: the broker has not accepted a consumer yet. A queue that is gone cannot become empty."""
        gone = error.exit is Exit.MISSING and self._settings.until_empty
        return first or gone or error.exit in ALWAYS_FATAL

    def _learn(self, generation: Generation) -> None:
        """Record the state for the next generation.

        If a generation received messages and committed none, it has cost each of them a delivery. A quorum queue drops
        messages that were delivered too often, so the next prefetch is smaller.
        """
        self._consumed = self._consumed or generation.consumed
        self.emptied = generation.emptied
        self.settled = generation.settled and (self.settled or self.deduplicator.forgotten)
        self._stalled = generation.session.ended.result().cause is EndCause.STALLED
        if generation.commits:
            self._reductions, self._retry_s, self._pause_s = 0, self._settings.retry_s, self._settings.retry_s
        elif generation.buffer.received:
            self._reductions = min(self._reductions + 1, REDUCTIONS_MAX)

    def _report_end(self, generation: Generation) -> None:
        session = generation.session
        if not session.ended.done() or self._stopping.is_set():
            return
        end = session.ended.result()
        if end.cause is EndCause.CANCELLED:
            log.emit(log_events.CONSUMER_CANCELLED, queue=session.queue, generation=session.number)
        else:
            log.emit(log_events.CONNECTION_LOST, generation=session.number, reason=end.reason, held=self.held)

    async def _wait_for_disk(self, size: int) -> None:
        """Probe until the disk accepts `size` bytes. The wait doubles from one pause to the next, until a batch is committed."""
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
