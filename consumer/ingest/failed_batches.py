"""Batches that the disk did not accept: postpone, divide, retry. It is never rejected, and not returned so often that it is lost.

A quorum queue counts the returns of a message and drops it above the delivery limit. A held message is not counted.
Invariants: because of the disk, a message is returned only while its count is below half of the limit; the other half is
left for restarts and lost connections. A postponed batch is retried only after a probe of its size succeeded.
"""

import asyncio

from consumer import log
from consumer.errors import StorageFault
from consumer.ingest import log_events
from consumer.ingest.batcher import DeliveryBatch
from consumer.ingest.buffer import DeliveryBuffer, Postponed
from consumer.ingest.dedupe import delivery_count
from consumer.ingest.interfaces import Prober

FAULTS_MAX = 8  # after this number of single deliveries without a commit, their size is not the cause


class FailedBatches:
    """Divides, postpones and retries the failed batches of one generation.

    `limit`: the delivery limit of the queue, None if it has none. `waits_s`: the first and the longest wait before a retry.
    """

    def __init__(
        self, buffer: DeliveryBuffer, disk: Prober, queue: str, limit: int | None, waits_s: tuple[float, float]
    ) -> None:
        self.bytes_to_probe = 0  # the disk must accept these before messages near the limit may be delivered again
        self.reason = ""  # why the disk does not accept the batches, and what to do
        self._buffer, self._disk, self._queue, self._limit = buffer, disk, queue, limit
        self._first_wait_s, self._wait_s_max = waits_s
        self._wait_s = self._first_wait_s
        self._faults = 0
        self._clock = asyncio.get_running_loop().time
        self._retried: Postponed | None = None
        self._postponed_since = 0.0
        self._any_postponed = asyncio.Event()

    async def on_fault(self, batch: DeliveryBatch, fault: StorageFault) -> None:
        """Divide or postpone the batch. Raises StorageFault if everything should be returned and consuming should pause."""
        if not await self._disk_accepts_any():
            if self._buffer.finished or self._returnable():
                raise fault
            self._postpone(batch, fault, block=True)
        elif len(batch.deliveries) > 1:
            self._buffer.divide(batch)
        else:
            self._faults += 1
            self._postpone(batch, fault, block=self._faults >= FAULTS_MAX)

    async def _disk_accepts_any(self) -> bool:
        try:
            await self._disk.probe()
        except StorageFault:
            return False
        return True

    def _returnable(self) -> bool:
        """Return whether every held message may be returned once more without using the second half of the limit."""
        counts = (delivery_count(found.header) for found in self._buffer.deliveries() if found.redelivered)
        return self._limit is None or max(counts, default=0) < self._limit // 2

    def _postpone(self, batch: DeliveryBatch, fault: StorageFault, block: bool) -> None:
        if not self._buffer.postponed:
            self._postponed_since = self._clock()
        self.reason = str(fault)
        count = max(delivery_count(found.header) for found in batch.deliveries)
        was_blocked = self._buffer.blocked
        self._buffer.postpone(batch, fault.size, block)
        self._retried = None
        self._any_postponed.set()
        if self._limit is not None and count >= self._limit // 2:
            self.bytes_to_probe = max(self.bytes_to_probe, fault.size, 1)
            log.emit(
                log_events.WITHHELD,
                queue=self._queue,
                count=count,
                limit=self._limit,
                reason=fault.reason,
                detail=fault.what,
            )
        elif not self._buffer.blocked:
            log.emit(log_events.SET_ASIDE, reason=fault.reason, detail=fault.what, bytes=batch.size, count=count)
        if self._buffer.blocked and not was_blocked:
            log.emit(log_events.PAUSED, reason=fault.reason, detail=fault.what, returned=0)

    async def run(self) -> None:
        """Retry postponed batches until cancelled. The wait doubles each time until one of them is committed."""
        while True:
            await self._any_postponed.wait()
            await asyncio.sleep(self._wait_s)
            self._wait_s = min(2 * self._wait_s, self._wait_s_max)
            if not self._buffer.postponed:
                self._any_postponed.clear()
                continue
            await self._retry(self._buffer.postponed[0])

    async def _retry(self, entry: Postponed) -> None:
        try:
            await self._disk.probe(entry.size)
        except StorageFault as fault:
            self.reason = str(fault)
            event = log_events.STILL_PAUSED if self._buffer.blocked else log_events.STILL_ASIDE
            log.emit(event, reason=fault.reason, detail=fault.what, paused_s=self._postponed_s())
            return
        # A commit or the end of the generation may have removed the batch during the probe.
        if self._buffer.postponed and self._buffer.postponed[0] is entry:
            self._buffer.retry_first()
            self._retried = entry

    def on_commit(self, batch: DeliveryBatch) -> None:
        """Record that a batch is durable. If it was postponed before, the other postponed batches are retried too."""
        self._faults = 0
        blocked, retried = self._buffer.blocked, self._retried
        if retried is None or not (blocked or batch is retried.batch):
            return
        self._buffer.accepted(retried.size if batch is retried.batch else 0)
        self._retried = None
        self._wait_s = self._first_wait_s
        log.emit(log_events.RESUMED if blocked else log_events.TAKEN_BACK, paused_s=self._postponed_s())
        if not self._buffer.postponed:
            self.bytes_to_probe = 0

    def _postponed_s(self) -> float:
        return round(self._clock() - self._postponed_since, 1)
