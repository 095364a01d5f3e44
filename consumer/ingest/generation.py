"""One generation: a session, its deliveries, and the watchers that notice when it no longer works.

Invariant: what a generation received is acknowledged, or given back, or known to come again; nothing of it is ever
acknowledged through another generation.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from codec.event import Event
from consumer import log
from consumer.amqp.connection import Session
from consumer.errors import DeedboxError, Exit, Fatal, StorageFault
from consumer.ingest import log_events
from consumer.ingest.batcher import Batch, BatchLimits
from consumer.ingest.batches import Batches
from consumer.ingest.dedupe import DELIVERY_COUNT_WARN, Deduplicator
from consumer.ingest.holding import Holding
from consumer.ingest.loop import Receipt, archive_batches
from consumer.ingest.window import wider

WATCH_S = 1.0
SYNC_SAMPLES = 4096
SLOW_SYNC_S = 1.0
LOOK_AT = 8  # deliveries of each batch that are compared with our bindings


class Archive(Protocol):
    """Where events become durable, and what is known of the last ones."""

    async def append(self, make_events: Callable[[], Sequence[Event]]) -> Receipt:
        """Make events durable. Raises StorageFault."""

    async def run(self, step: Callable[[], None]) -> None:
        """Run a step where the appends run, between two of them."""

    async def probe(self, size: int = 0) -> None:
        """Prove that the disk takes `size` bytes. Raises StorageFault."""


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """How ingest waits. `narrow`: lives before this one that ended without a stop or a commit.

    `unsettled`: messages that earlier lives archived may come again.
    """

    limits: BatchLimits
    prefetch: int
    narrow: int = 0
    unsettled: bool = False
    watchdog_s: float = 60.0
    retry_s: float = 0.5
    retry_s_max: float = 30.0


@dataclass
class Counters:
    """What ingest has done since the start."""

    archived: int = 0
    acked: int = 0
    bytes: int = 0
    batches: int = 0
    returned: int = 0
    marked: int = 0
    silence_reported: bool = False
    unexplained: set[str] = field(default_factory=set)  # exchanges whose messages came by no binding of ours
    syncs: deque[float] = field(default_factory=lambda: deque(maxlen=SYNC_SAMPLES))


class Generation:
    """From `consume` to the end of the channel."""

    def __init__(
        self, session: Session, batches: Batches, archive: Archive, deduplicator: Deduplicator, settings: IngestSettings
    ) -> None:
        self.session, self.batches = session, batches
        self.commits = 0  # acknowledged ones
        self.consumed = False
        self.settled = False  # all that was received is archived, and the broker has taken its acknowledgement
        self._archive, self._deduplicator, self._settings = archive, deduplicator, settings
        self._acknowledged = True
        waits_s = (settings.retry_s, settings.retry_s_max)
        self.holding = Holding(batches, archive, session.queue, session.delivery_limit, waits_s)
        self._committed = asyncio.Event()
        self._fatal: Fatal | None = None
        batches.flow = lambda on: (session.reader.resume if on else session.reader.pause)()
        session.ended.add_done_callback(lambda _: batches.discard())

    async def release(self) -> None:
        """Give back what is not committed, and close the session. Sets `settled`."""
        held = self.batches.held
        await self.session.release()
        # Acknowledgements that were sent just before a connection was lost may not have reached the broker.
        arrived = self.session.released or not self.commits
        self.settled = self._acknowledged and arrived and not held

    @property
    def passed(self) -> bool:
        """Whether redeliveries are reported: new messages followed them, or all that waited in the queue at the begin were received.

        It proves nothing: messages of a dead channel may be returned later.
        """
        return self._deduplicator.passed or self.batches.received >= self.session.messages_waiting

    async def run(self, prefetch: int, counters: Counters, stalled_before: bool) -> None:
        """Until the session ends or `stop`. Raises StorageFault, Retry and Fatal."""
        session = self.session
        await self._archive.run(self._deduplicator.begin)
        await session.consume(prefetch)
        self.consumed = True
        log.emit(
            log_events.CONSUMING, queue=session.queue, generation=session.generation, prefetch=prefetch,
            messages=session.messages_waiting,
        )  # fmt: skip
        watches = (self._widen, self.holding.run, lambda: self._watch(counters, stalled_before))
        watchers = [asyncio.create_task(self._guarded(watch)) for watch in watches]
        try:
            await archive_batches(
                self.batches, self._deduplicator.events, self._archive, session,
                lambda batch, receipt, acknowledged: self._on_commit(counters, batch, receipt, acknowledged),
                self._on_fault,
            )  # fmt: skip
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            self._report_redeliveries(counters)
        if self._fatal:
            raise self._fatal

    async def stop(self) -> None:
        """Take no more; `run` returns when what is held has been committed."""
        await self.session.stop()
        self.batches.finish()

    async def _guarded(self, watch: Callable[[], Awaitable[None]]) -> None:
        """A watcher that fails ends the generation; it never dies in silence."""
        try:
            await watch()
        except Fatal as fatal:
            self._fatal = fatal
            self.session.end(fatal.what)
        except DeedboxError as error:
            self.session.end(error.what)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self.session.end("the library cancelled a call")  # it does so to calls on a channel that closes
        except Exception as error:  # noqa: BLE001 -- whatever it was, the generation must not go on unwatched
            self.session.end(repr(error))

    async def _widen(self) -> None:
        """After an unclean end: the full window, once something has been committed."""
        await self._committed.wait()
        if (
            self.session.prefetch < self._settings.prefetch
            and self._deduplicator.delivery_count_max < DELIVERY_COUNT_WARN
        ):
            await self.session.consume(self._settings.prefetch)
            log.emit(log_events.WIDENED, generation=self.session.generation, prefetch=self.session.prefetch)

    async def _watch(self, counters: Counters, stalled_before: bool) -> None:
        """Connected, messages waiting, nothing delivered: end the generation, and the second time in a row the service."""
        loop = asyncio.get_running_loop()
        quiet_since = loop.time()
        while True:
            await asyncio.sleep(WATCH_S)
            if self.batches.waiting or self._window_is_held():
                quiet_since = loop.time()
                self.batches.keep_alive(self.session.reader.beat)
            quiet_since = max(quiet_since, self.session.reader.last_content)
            idle_s = loop.time() - quiet_since
            if idle_s < self._settings.watchdog_s:
                continue
            quiet_since = loop.time()
            if messages := await self.session.messages_ready():
                self._on_stall(messages, idle_s, stalled_before and not self.batches.received)
            elif not (counters.batches or self.batches.received or counters.silence_reported):
                self._on_silence(counters, idle_s)

    def _on_silence(self, counters: Counters, idle_s: float) -> None:
        """Report once that nothing has come since the start: a name that is misspelled looks like a quiet queue."""
        counters.silence_reported = True
        topology = self.session.topology
        log.emit(
            log_events.NOTHING_DELIVERED, queue=self.session.queue, exchange=topology.exchange, bindings=list(topology.bindings),
            waited_s=round(idle_s, 1),
        )  # fmt: skip

    def _window_is_held(self) -> bool:
        """Whether the broker delivers nothing because the window is full of what the disk does not take."""
        return self.batches.blocked or len(self.batches.aside) >= self.session.prefetch

    async def _on_fault(self, batch: Batch, fault: StorageFault) -> None:
        await self.holding.on_fault(batch, fault)
        prefetch = self.session.prefetch
        if self._window_is_held() and not self.batches.blocked and prefetch < self._settings.prefetch:
            # After an unclean end the window is small, and what is set aside is in it.
            await self.session.consume(wider(prefetch, self._settings.prefetch))

    def _on_stall(self, messages: int, idle_s: float, again: bool) -> None:
        queue = self.session.queue
        log.emit(log_events.STALLED, queue=queue, messages=messages, idle_s=round(idle_s, 1))
        if again:
            what = f"queue {queue!r}: {messages} messages wait and none is delivered"
            raise Fatal(Exit.STALLED, what, "restart; is another consumer exclusive, or single and active?")
        self.session.stalled = True
        self.session.end("stalled")

    def _on_commit(self, counters: Counters, batch: Batch, receipt: Receipt, acknowledged: bool) -> None:
        counters.batches += 1
        counters.archived += receipt.events
        counters.bytes += receipt.bytes
        counters.syncs.append(receipt.sync_s)
        if receipt.sync_s > SLOW_SYNC_S:
            log.emit(log_events.SLOW_SYNC, sync_s=round(receipt.sync_s, 2))
        if acknowledged:
            self.holding.on_commit(batch)
            self.commits += 1
            counters.acked += len(batch.deliveries)
            self._committed.set()
        else:
            self._acknowledged = False
            log.emit(log_events.STALE_ACK, generation=self.session.generation, events=len(batch.deliveries))
        self._look_at_origins(counters, batch)
        if self.passed:
            self._report_redeliveries(counters)

    def _look_at_origins(self, counters: Counters, batch: Batch) -> None:
        """Report, once for each exchange, a message that no binding of ours explains."""
        for found in batch.deliveries[:LOOK_AT]:
            if found.exchange in counters.unexplained or self.session.topology.explains(
                found.exchange, found.routing_key
            ):
                continue
            counters.unexplained.add(found.exchange)
            log.emit(
                log_events.UNEXPECTED_BINDING,
                queue=self.session.queue,
                exchange=found.exchange,
                routing_key=found.routing_key,
            )

    def _report_redeliveries(self, counters: Counters) -> None:
        """One line for a window that came again, when it is through."""
        deduplicator, session = self._deduplicator, self.session
        if marked := deduplicator.marked - counters.marked:
            log.emit(log_events.DUPLICATES_MARKED, marked=marked, generation=session.generation)
            counters.marked = deduplicator.marked
        if deduplicator.delivery_count_max >= DELIVERY_COUNT_WARN:
            log.emit(log_events.DELIVERY_LIMIT_NEAR, queue=session.queue, count=deduplicator.delivery_count_max)
            deduplicator.delivery_count_max = 0
