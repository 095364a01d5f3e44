"""The life of ingest: one generation after the other, until told to stop.

Role: reconnect, pause, resume, drain; what is done with deliveries is in `loop`. Invariants: a generation ends with
everything acknowledged, given back, or known to come again; a disk that fails pauses, and never ends, the service; what a
person must mend ends it only before the first generation, because later it may mend itself.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from codec.event import Event
from consumer import log
from consumer.errors import DeedboxError, Exit, Fatal, Retry, StorageFault
from consumer.ingest.batcher import Batch, BatchLimits
from consumer.ingest.broker import Broker, Session
from consumer.ingest.dedupe import DELIVERY_COUNT_WARN, Intake
from consumer.ingest.delivery import Delivery
from consumer.ingest.loop import Batches, Receipt, archive_batches

WATCH_S = 1.0
SYNC_SAMPLES = 4096


class Archive(Protocol):
    """Where events become durable, and what is known of the last ones."""

    async def append(self, make_events: Callable[[], Sequence[Event]]) -> Receipt | None:
        """Make events durable. Raises StorageFault."""

    async def recall(self, use: Callable[[Iterable[Event]], None]) -> None:
        """Hand over the events that may come again."""

    async def probe(self) -> None:
        """Raises StorageFault while the disk takes nothing."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How ingest waits. `narrow`: lives before this one that ended without a stop or a commit."""

    limits: BatchLimits
    prefetch: int
    narrow: int = 0
    watchdog_s: float = 60.0
    retry_s: float = 0.5
    retry_s_max: float = 30.0

    @property
    def first_prefetch(self) -> int:
        """After an unclean end, few messages: each crash costs all of a window a delivery, and a quorum queue drops
        messages that were delivered too often."""
        return max(1, self.prefetch >> 2 * self.narrow)


@dataclass
class Counters:
    """What ingest has done since the start."""

    archived: int = 0
    acked: int = 0
    bytes: int = 0
    batches: int = 0
    returned: int = 0
    last_commit: float = 0.0
    syncs: deque[float] = field(default_factory=lambda: deque(maxlen=SYNC_SAMPLES))


class Ingest:
    """From a broker to an archive."""

    def __init__(self, broker: Broker, archive: Archive, intake: Intake, pace: Pace) -> None:
        self.state = "connecting"
        self.counters = Counters()
        self.session: Session | None = None
        self.batches: Batches | None = None
        self._broker, self._archive, self.intake, self._pace = broker, archive, intake, pace
        self._stopping = asyncio.Event()
        self._committed = asyncio.Event()
        self._stalled = False
        self._fatal: Fatal | None = None
        self._reported = (0, 0)
        self._last_delivery = 0.0

    async def run(self) -> None:
        """Until `stop`, and what was held then is committed. Raises Fatal."""
        while not self._stopping.is_set():
            session = await self._open()
            if session is None:
                return
            try:
                await self._generation(session)
            except StorageFault as fault:
                await self._pause(session, fault)
            except Retry as retry:
                session.end(str(retry))
            finally:
                await self._leave(session)
            if self._fatal:
                raise self._fatal

    async def stop(self) -> None:
        """Take no more; `run` returns when what is held has been committed."""
        self._stopping.set()
        if self.session is not None and self.batches is not None:
            await self.session.stop()
            self.batches.finish()

    async def release(self) -> int:
        """Give back what is not committed, at once. Says how many deliveries that was."""
        held = self.batches.held if self.batches else 0
        self.counters.returned += held
        if self.session is not None:
            await self.session.release()
        return held

    async def _open(self) -> Session | None:
        """A session, as soon as there can be one; None when told to stop before. Raises Fatal the first time only."""
        self.state = "connecting"
        wait_s = self._pace.retry_s
        attempt = 0
        while not self._stopping.is_set():
            attempt += 1
            log.emit("connecting", broker=self._broker.shown, attempt=attempt)
            try:
                self.batches = Batches(self._pace.limits, 4 * self._pace.limits.bytes, self._flow)
                return await self._broker.open(self._received)
            except DeedboxError as error:
                if isinstance(error, Fatal) and self._broker.generation == 0:
                    raise
                log.emit("connect_failed", broker=self._broker.shown, reason=error.what, wait_s=round(wait_s, 1))
            await self._unless_stopped(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, self._pace.retry_s_max)
        return None

    async def _unless_stopped(self, wait_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), wait_s)
        except TimeoutError:
            pass  # the usual case: nobody told us to stop

    def _received(self, deliveries: list[Delivery]) -> None:
        assert self.batches is not None, "made before the session"
        self._last_delivery = time.monotonic()
        self._stalled = False
        self.batches.put(deliveries)

    def _flow(self, on: bool) -> None:
        if self.session is not None:
            (self.session.reader.resume if on else self.session.reader.pause)()

    async def _generation(self, session: Session) -> None:
        batches = self.batches
        assert batches is not None, "made before the session"
        self.session = session
        session.ended.add_done_callback(lambda _: batches.discard())
        await self._archive.recall(self.intake.remember)
        self._committed.clear()
        self._last_delivery = time.monotonic()
        await session.consume(self._pace.prefetch if self.counters.batches else self._pace.first_prefetch)
        if self._stopping.is_set():
            await self.stop()
        self.state = "consuming"
        log.emit(
            "consuming",
            queue=session.queue,
            generation=session.generation,
            prefetch=session.prefetch,
            messages=session.messages_waiting,
        )
        watchers = [asyncio.create_task(self._guarded(session, watch(session))) for watch in (self._widen, self._watch)]
        try:
            await archive_batches(batches, self.intake.events, self._archive, session, self._on_commit)
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    async def _guarded(self, session: Session, watch: Awaitable[None]) -> None:
        """A watcher that fails ends the generation; it never dies in silence."""
        try:
            await watch
        except Fatal as fatal:
            self._fatal = fatal
            session.end(fatal.what)
        except DeedboxError as error:
            session.end(error.what)

    async def _widen(self, session: Session) -> None:
        """After an unclean end: the full window, once something has been committed."""
        await self._committed.wait()
        if session.prefetch < self._pace.prefetch:
            await session.consume(self._pace.prefetch)
            log.emit("widened", generation=session.generation, prefetch=session.prefetch)

    async def _watch(self, session: Session) -> None:
        """Connected, messages waiting, nothing delivered: connect anew, and the second time in a row give up."""
        while True:
            await asyncio.sleep(WATCH_S)
            assert self.batches is not None, "made before the session"
            if self.batches.held:
                self._last_delivery = time.monotonic()
                self.batches.keep_alive(session.reader.beat)
            idle_s = time.monotonic() - self._last_delivery
            if idle_s < self._pace.watchdog_s:
                continue
            self._last_delivery = time.monotonic()
            if messages := await session.messages_ready():
                self._on_stall(session, messages, idle_s)

    def _on_stall(self, session: Session, messages: int, idle_s: float) -> None:
        log.emit("stalled", queue=session.queue, messages=messages, idle_s=round(idle_s, 1))
        if self._stalled:
            raise Fatal(
                Exit.STALLED,
                f"queue {session.queue!r}: {messages} messages wait and none is delivered",
                "restart; is another consumer exclusive or preferred?",
            )
        self._stalled = True
        session.end("stalled")

    def _on_commit(self, batch: Batch, receipt: Receipt | None, acknowledged: bool) -> None:
        counters = self.counters
        counters.batches += 1
        counters.last_commit = time.monotonic()
        if receipt is not None:
            self._count(receipt)
        if acknowledged:
            counters.acked += len(batch.deliveries)
        else:
            assert self.session is not None, "a batch came from one"
            log.emit("stale_ack", generation=self.session.generation, events=len(batch.deliveries))
        self._committed.set()
        if not batch.deliveries[-1].redelivered:
            self._report_redeliveries()

    def _count(self, durable: Receipt) -> None:
        self.counters.archived += durable.events
        self.counters.bytes += durable.bytes
        self.counters.syncs.append(durable.sync_s)
        if durable.sync_s > 1.0:
            log.emit("slow_sync", sync_s=round(durable.sync_s, 2))

    def _report_redeliveries(self) -> None:
        found = (self.intake.dropped, self.intake.marked)
        generation = self.session.generation if self.session else 0
        if found != self._reported:
            log.emit(
                "duplicates_dropped",
                dropped=found[0] - self._reported[0],
                marked=found[1] - self._reported[1],
                generation=generation,
            )
            self._reported = found
        if self.intake.delivery_count_max >= DELIVERY_COUNT_WARN:
            log.emit(
                "delivery_limit_near",
                queue=self.session.queue if self.session else "",
                count=self.intake.delivery_count_max,
            )
            self.intake.delivery_count_max = 0

    async def _leave(self, session: Session) -> None:
        """End a generation, whatever ended it."""
        held = self.batches.held if self.batches else 0
        if session.ended.done() and not self._stopping.is_set() and self.state != "paused":
            kind = "consumer_cancelled" if session.cancelled_by_broker else "connection_lost"
            fields = (
                {"queue": session.queue}
                if session.cancelled_by_broker
                else {"reason": session.ended.result(), "held": held}
            )
            log.emit(kind, generation=session.generation, **fields)
        self._report_redeliveries()
        await session.release()
        self.session = None
        if self.state == "paused":
            await self._until_disk_takes_data()

    async def _pause(self, session: Session, fault: StorageFault) -> None:
        self.state = "paused"
        returned = self.batches.held if self.batches else 0
        self.counters.returned += returned
        log.emit("paused", reason=fault.reason, detail=str(fault), returned=returned)
        await session.release()

    async def _until_disk_takes_data(self) -> None:
        started = time.monotonic()
        wait_s = self._pace.retry_s
        while not self._stopping.is_set():
            await self._unless_stopped(wait_s)
            wait_s = min(2 * wait_s, self._pace.retry_s_max)
            try:
                await self._archive.probe()
            except StorageFault as fault:
                log.emit(
                    "still_paused", reason=fault.reason, detail=fault.what, paused_s=round(time.monotonic() - started)
                )
                continue
            log.emit("resumed", paused_s=round(time.monotonic() - started, 1))
            return
