"""Keep the deliveries that the disk does not take: never rejected, and not returned so often that the broker drops them.

A quorum queue counts each return of a message and drops the message after its delivery limit; a delivery that is held
costs nothing. Invariants: a delivery is returned because of the disk only while it has come back less than half as often as
the limit allows, so that restarts and lost connections have the other half; and what was held is tried only after the disk
has proved that it takes its size.
"""

import asyncio
from typing import Protocol

from consumer import log
from consumer.errors import StorageFault
from consumer.ingest import log_events
from consumer.ingest.batcher import Batch
from consumer.ingest.batches import Batches
from consumer.ingest.dedupe import delivery_count

FAULTS_MAX = 8  # deliveries set aside in a row without a commit: then it is not their size


class Disk(Protocol):
    """Where batches become durable."""

    async def probe(self, size: int = 0) -> None:
        """Prove that the disk takes `size` bytes. Raises StorageFault."""


class Holding:
    """The batches of one generation that the disk did not take. `limit`: the queue's delivery limit, None if it has none."""

    def __init__(
        self, batches: Batches, disk: Disk, queue: str, limit: int | None, waits_s: tuple[float, float]
    ) -> None:
        self.unproven = (
            0  # bytes that the disk must take before a message that is near the limit may be delivered again
        )
        self.reason = ""  # why the disk did not take what is held, and what to do
        self._batches, self._disk, self._queue, self._limit = batches, disk, queue, limit
        self._first_wait_s, self._wait_s_max = waits_s
        self._wait_s = self._first_wait_s
        self._faults = 0
        self._clock = asyncio.get_running_loop().time
        self._trial: tuple[Batch, int] | None = None
        self._held_since = 0.0
        self._holds = asyncio.Event()

    async def on_fault(self, batch: Batch, fault: StorageFault) -> None:
        """Divide the batch or hold it. Raises StorageFault if everything is to be returned and consuming to pause."""
        if not await self._takes_anything():
            if self._batches.finished or self._returnable():
                raise fault
            self._hold(batch, fault, alone=True)
        elif len(batch.deliveries) > 1:
            self._batches.divide(batch)
        else:
            self._faults += 1
            self._hold(batch, fault, alone=self._faults >= FAULTS_MAX)

    async def _takes_anything(self) -> bool:
        try:
            await self._disk.probe()
        except StorageFault:
            return False
        return True

    def _returnable(self) -> bool:
        """Whether everything that is held survives one more return, and half of the limit is left."""
        counts = (delivery_count(found.header) for found in self._batches.deliveries() if found.redelivered)
        return self._limit is None or max(counts, default=0) < self._limit // 2

    def _hold(self, batch: Batch, fault: StorageFault, alone: bool) -> None:
        if not self._batches.aside:
            self._held_since = self._clock()
        self.reason = str(fault)
        count = max(delivery_count(found.header) for found in batch.deliveries)
        was_blocked = self._batches.blocked
        self._batches.set_aside(batch, fault.size, alone)
        self._trial = None
        self._holds.set()
        if self._limit is not None and count >= self._limit // 2:
            self.unproven = max(self.unproven, fault.size, 1)
            log.emit(
                log_events.WITHHELD,
                queue=self._queue,
                count=count,
                limit=self._limit,
                reason=fault.reason,
                detail=fault.what,
            )
        elif not self._batches.blocked:
            log.emit(log_events.SET_ASIDE, reason=fault.reason, detail=fault.what, bytes=batch.size, count=count)
        if self._batches.blocked and not was_blocked:
            log.emit(log_events.PAUSED, reason=fault.reason, detail=fault.what, returned=0)

    async def run(self) -> None:
        """Try again what is held, after waits that grow until one of it is committed. Until cancelled."""
        while True:
            await self._holds.wait()
            await asyncio.sleep(self._wait_s)
            self._wait_s = min(2 * self._wait_s, self._wait_s_max)
            if not self._batches.aside:
                self._holds.clear()
                continue
            entry = self._batches.aside[0]
            try:
                await self._disk.probe(entry.size)
            except StorageFault as fault:
                self.reason = str(fault)
                event = log_events.STILL_PAUSED if self._batches.blocked else log_events.STILL_ASIDE
                log.emit(event, reason=fault.reason, detail=fault.what, paused_s=self._held_s())
            else:
                # A commit, or the end, may have taken it during the probe.
                if self._batches.aside and self._batches.aside[0] is entry:
                    self._trial = (self._batches.bring_back(), entry.size)

    def on_commit(self, batch: Batch) -> None:
        """A batch is durable: if it was one that was held, the others are tried too."""
        self._faults = 0
        blocked = self._batches.blocked
        if self._trial is None or not (blocked or batch is self._trial[0]):
            return
        self._batches.unblock(self._trial[1] if batch is self._trial[0] else 0)
        self._trial = None
        self._wait_s = self._first_wait_s
        log.emit(log_events.RESUMED if blocked else log_events.TAKEN_BACK, paused_s=self._held_s())
        if not self._batches.aside:
            self.unproven = 0

    def _held_s(self) -> float:
        return round(self._clock() - self._held_since, 1)
