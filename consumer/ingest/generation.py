"""One generation of ingest: a session, its deliveries, and the tasks that watch it.

Invariant: each delivery of a generation is acknowledged, or returned, or delivered again by the broker. It is never
acknowledged through another generation.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from consumer import log
from consumer.amqp.session import EndCause, Session
from consumer.errors import DeedboxError, Fatal, StorageFault
from consumer.ingest import log_events
from consumer.ingest.batcher import BatchLimits, DeliveryBatch
from consumer.ingest.buffer import DeliveryBuffer
from consumer.ingest.counters import Counters
from consumer.ingest.dedupe import DELIVERY_COUNT_WARN, Deduplicator
from consumer.ingest.emptiness import Emptiness
from consumer.ingest.failed_batches import FailedBatches
from consumer.ingest.interfaces import AppendResult, DurableAppender
from consumer.ingest.loop import archive_batches
from consumer.ingest.prefetch import next_prefetch
from consumer.ingest.watchdog import Watchdog

SLOW_SYNC_S = 1.0
ORIGINS_CHECKED = 8  # number of deliveries of each batch that are compared with the bindings


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """How ingest batches and waits.

    `prefetch_reductions`: how often the prefetch is divided by four at the start; one for each earlier run that ended
    uncleanly and without a commit. `unsettled`: messages that earlier runs archived may be delivered again.
    `watchdog_s`: see `Watchdog`. `until_empty`: end when the queue is empty, see `Emptiness`. `retry_s`, `retry_s_max`: the first and the longest wait between two attempts.
    """

    limits: BatchLimits
    prefetch: int
    prefetch_reductions: int = 0
    unsettled: bool = False
    watchdog_s: float = 60.0
    retry_s: float = 0.5
    retry_s_max: float = 30.0
    until_empty: bool = False


class Generation:
    """Runs one session: consumes, archives and acknowledges until the session ends.

    `commits`: number of acknowledged batches. `consumed`: the broker has accepted the consumer. `settled`, after `release`:
    everything received is archived, and the broker has processed its acks. `emptied`, after `release`: also, the queue was empty.
    """

    def __init__(
        self,
        session: Session,
        buffer: DeliveryBuffer,
        archive: DurableAppender,
        deduplicator: Deduplicator,
        settings: IngestSettings,
    ) -> None:
        self.session, self.buffer = session, buffer
        self.commits = 0
        self.consumed = False
        self.settled = self.emptied = False
        self._archive, self._deduplicator, self._settings = archive, deduplicator, settings
        self._all_acknowledged = True
        waits_s = (settings.retry_s, settings.retry_s_max)
        self.failed_batches = FailedBatches(buffer, archive, session.queue, session.delivery_limit, waits_s)
        self._emptiness = Emptiness(session, buffer)
        self._committed = asyncio.Event()
        self._fatal: Fatal | None = None
        buffer.set_reading = lambda on: (session.reader.resume if on else session.reader.pause)()
        session.ended.add_done_callback(lambda _: buffer.discard())

    async def run(self, prefetch: int, counters: Counters, stalled_before: bool) -> None:
        """Run until the session ends or `stop` is called. Raises StorageFault, Retry or Fatal."""
        session = self.session
        await self._archive.run(self._deduplicator.begin)
        await session.consume(prefetch)
        self.consumed = True
        log.emit(
            log_events.CONSUMING, queue=session.queue, generation=session.number, prefetch=prefetch,
            messages=session.messages_waiting,
        )  # fmt: skip
        watchdog = Watchdog(session, self.buffer, counters, self._settings.watchdog_s, stalled_before)
        steps = [self._restore_prefetch, self.failed_batches.run, watchdog.run]
        if self._settings.until_empty:
            steps.append(self._emptiness.run)
        watchers = [asyncio.create_task(self._guarded(step)) for step in steps]
        try:
            await archive_batches(
                self.buffer, self._deduplicator.events, self._archive, session,
                lambda batch, result, acknowledged: self._on_commit(counters, batch, result, acknowledged),
                lambda batch, fault: self._on_fault(watchdog, batch, fault),
            )  # fmt: skip
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            self._report_redeliveries(counters)
        if self._fatal:
            raise self._fatal

    async def stop(self) -> None:
        """Accept no more deliveries. `run` returns when the held ones are committed."""
        await self.session.stop()
        self.buffer.finish()

    async def release(self) -> None:
        """Return the deliveries that are not committed, and close the session. Sets `settled` and `emptied`."""
        held = self.buffer.held
        await self.session.release()
        # Acks that were sent shortly before a connection was lost may not have reached the broker.
        arrived = self.session.acks_arrived or not self.commits
        self.settled = self._all_acknowledged and arrived and not held
        self.emptied = self._emptiness.found and self.settled and not self.buffer.ignored

    async def _guarded(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run a watcher. If it fails, the generation ends; it never continues without one of its watchers."""
        try:
            await step()
        except Fatal as fatal:
            self._fatal = fatal
            self.session.end(EndCause.LOST, fatal.what)
        except DeedboxError as error:
            self.session.end(EndCause.LOST, error.what)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self.session.end(EndCause.LOST, "the library cancelled a call")  # when a channel closes during the call
        except Exception as error:  # noqa: BLE001 -- every failure must end the generation
            self.session.end(EndCause.LOST, repr(error))

    async def _restore_prefetch(self) -> None:
        """If the prefetch was reduced after an unclean end, restore it after the first commit."""
        await self._committed.wait()
        full = self._settings.prefetch
        if self.session.prefetch < full and self._deduplicator.delivery_count_max < DELIVERY_COUNT_WARN:
            await self.session.consume(full)
            log.emit(log_events.WIDENED, generation=self.session.number, prefetch=self.session.prefetch)

    async def _on_fault(self, watchdog: Watchdog, batch: DeliveryBatch, fault: StorageFault) -> None:
        await self.failed_batches.on_fault(batch, fault)
        prefetch = self.session.prefetch
        if watchdog.prefetch_is_postponed() and not self.buffer.blocked and prefetch < self._settings.prefetch:
            # The reduced prefetch is full of postponed deliveries. Without a larger one nothing else would arrive.
            await self.session.consume(next_prefetch(prefetch, self._settings.prefetch))

    def _on_commit(self, counters: Counters, batch: DeliveryBatch, result: AppendResult, acknowledged: bool) -> None:
        counters.batches += 1
        counters.archived += result.events
        counters.bytes += result.bytes
        counters.syncs.append(result.sync_s)
        if result.sync_s > SLOW_SYNC_S:
            log.emit(log_events.SLOW_SYNC, sync_s=round(result.sync_s, 2))
        if acknowledged:
            self.failed_batches.on_commit(batch)
            self.commits += 1
            counters.acked += len(batch.deliveries)
            self._committed.set()
        else:
            self._all_acknowledged = False
            log.emit(log_events.STALE_ACK, generation=self.session.number, events=len(batch.deliveries))
        self._check_origins(counters, batch)
        if self._redeliveries_are_over:
            self._report_redeliveries(counters)

    def _check_origins(self, counters: Counters, batch: DeliveryBatch) -> None:
        """Report, once for each exchange, a message that no binding of Deedbox explains."""
        topology = self.session.topology
        for found in batch.deliveries[:ORIGINS_CHECKED]:
            if found.exchange in counters.unexplained or topology.explains(found.exchange, found.routing_key):
                continue
            counters.unexplained.add(found.exchange)
            log.emit(
                log_events.UNEXPECTED_BINDING,
                queue=self.session.queue,
                exchange=found.exchange,
                routing_key=found.routing_key,
            )

    @property
    def _redeliveries_are_over(self) -> bool:
        """Whether it is time to report redeliveries.

        It is if a new message has arrived, or everything that waited in the queue at the begin. This is an estimate:
        the broker may return messages of a dead channel later.
        """
        return self._deduplicator.new_messages or self.buffer.received >= self.session.messages_waiting

    def _report_redeliveries(self, counters: Counters) -> None:
        """Log one line for the duplicates, and one if messages are near the delivery limit."""
        deduplicator, session = self._deduplicator, self.session
        if marked := deduplicator.marked - counters.marked:
            log.emit(log_events.DUPLICATES_MARKED, marked=marked, generation=session.number)
            counters.marked = deduplicator.marked
        if deduplicator.delivery_count_max >= DELIVERY_COUNT_WARN:
            log.emit(log_events.DELIVERY_LIMIT_NEAR, queue=session.queue, count=deduplicator.delivery_count_max)
            deduplicator.delivery_count_max = 0
