"""The deliveries of one generation that are received and not yet committed.

Invariants: each of these deliveries is in exactly one place: in the batcher, in the current batch, in a batch to be
returned next, or in a postponed batch. The number of bytes is bounded: above the bound the socket is not read. Postponed batches
have a bound of their own: above it no other batch is returned.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from consumer.amqp.delivery import Delivery
from consumer.ingest.batcher import Batcher, BatchLimits, DeliveryBatch, divide


class Postponed(NamedTuple):
    """A batch that waits, unacknowledged, until the disk accepts `size` bytes."""

    batch: DeliveryBatch
    size: int


class DeliveryBuffer:
    """Returns deliveries as batches, in order. Batches that the disk did not accept are returned again later.

    `set_reading`: called with False to stop reading the socket, and with True to continue.
    """

    def __init__(self, limits: BatchLimits, held_bytes_max: int) -> None:
        self.set_reading: Callable[[bool], None] = lambda _: None
        self.received = 0
        self.ignored = 0  # deliveries after `finish`
        self.taken: DeliveryBatch | None = None
        self.postponed: deque[Postponed] = deque()
        self.blocked = False  # only a batch that is retried may be returned
        self.reading = True
        self.finished = self._discarded = False
        self._next: deque[DeliveryBatch] = deque()
        self._batcher = Batcher(limits)
        self._held_bytes_max = held_bytes_max
        self._wake = asyncio.Event()
        self._less_held = asyncio.Event()
        self._clock = asyncio.get_running_loop().time

    @property
    def held(self) -> int:
        """Number of deliveries received and not committed."""
        return self._batcher.count + sum(len(batch.deliveries) for batch in self._batches())

    @property
    def held_bytes(self) -> int:
        """Their bytes in memory."""
        return self._batcher.size + sum(batch.size for batch in self._batches())

    @property
    def waiting(self) -> int:
        """Number of held deliveries that are not postponed."""
        return self.held - sum(len(entry.batch.deliveries) for entry in self.postponed)

    @property
    def oldest(self) -> float | None:
        """Loop time at which the oldest held delivery arrived."""
        times = [batch.since for batch in self._batches()]
        if self._batcher.oldest is not None:
            times.append(self._batcher.oldest)
        return min(times, default=None)

    def deliveries(self) -> Iterator[Delivery]:
        """Iterate over the held deliveries."""
        for batch in self._batches():
            yield from batch.deliveries
        yield from self._batcher.deliveries()

    def _batches(self) -> Iterator[DeliveryBatch]:
        """Iterate over the held batches that have left the batcher."""
        if self.taken is not None:
            yield self.taken
        yield from self._next
        for entry in self.postponed:
            yield entry.batch

    def put(self, deliveries: list[Delivery], drained: bool = False) -> None:
        """Add the deliveries of one read. `drained`: the socket had no more bytes.

        After `finish`, deliveries are ignored. They stay unacknowledged, and the session returns them.
        """
        if self.finished:
            self.ignored += len(deliveries)
            return
        self.received += len(deliveries)
        self._batcher.add(deliveries, self._clock(), drained)
        self._wake.set()
        if self.reading and self._bytes_to_take() > self._held_bytes_max:
            self.reading = False
            self.set_reading(False)

    def _bytes_to_take(self) -> int:
        taken = self.taken.size if self.taken else 0
        return self._batcher.size + taken + sum(batch.size for batch in self._next)

    async def take(self) -> DeliveryBatch | None:
        """Return the next batch when it is due, and None after the end.

        The call also means that the caller is done with the previous batch.
        """
        self.taken = None
        self._less_held.set()
        if not self.reading and self._bytes_to_take() <= self._held_bytes_max // 2:
            self.reading = True
            self.set_reading(True)
        while not self._next:
            takeable = self._batcher.count and not self.blocked
            if takeable and self._due():
                self._next.append(self._batcher.take())
            elif self.finished and not takeable:
                return None
            else:
                await self._wait()
        self.taken = self._next.popleft()
        return self.taken

    def _due(self) -> bool:
        due_at = self._batcher.due_at()
        return due_at is not None and (self.finished or due_at <= self._clock())

    async def _wait(self) -> None:
        """Wait for the next change, or until the deliveries are due."""
        self._wake.clear()
        due_at = None if self.blocked else self._batcher.due_at()
        timer = None if due_at is None else asyncio.get_running_loop().call_at(due_at, self._wake.set)
        await self._wake.wait()
        if timer:
            timer.cancel()

    async def until_nothing_held(self) -> None:
        """Wait until every delivery is committed, or dropped by `discard`."""
        while self.held:
            self._less_held.clear()
            await self._less_held.wait()

    def nothing_left_before(self, tag: int) -> bool:
        """Return whether no delivery before `tag` is still to be archived, apart from the current batch."""
        others = (*self._next, *(entry.batch for entry in self.postponed))
        return not any(batch.deliveries[0].tag < tag for batch in others)

    def divide(self, batch: DeliveryBatch) -> None:
        """Put back a batch that the disk did not accept. Its parts are returned next."""
        self.taken = None
        if not self._discarded:
            self._next.extendleft(reversed(divide(batch)))

    def postpone(self, batch: DeliveryBatch, size: int, block: bool = False) -> None:
        """Put back a batch until `retry_first` or `accepted`. `block`: no other batch is next until then."""
        self.taken = None
        if self._discarded:
            return
        self.postponed.append(Postponed(batch, size))
        too_many = len(self.postponed) > 1 and sum(entry.batch.size for entry in self.postponed) > self._held_bytes_max
        self.blocked = not self.finished and (self.blocked or block or too_many)

    def retry_first(self) -> DeliveryBatch:
        """Return the batch that was postponed first, before all others."""
        batch = self.postponed.popleft().batch
        self._next.append(batch)
        self._wake.set()
        return batch

    def accepted(self, size: int) -> None:
        """Record that the disk accepts `size` bytes. Postponed batches up to this size, and new ones, are returned again."""
        self._next.extend(entry.batch for entry in self.postponed if entry.size <= size)
        self.postponed = deque(entry for entry in self.postponed if entry.size > size)
        self.blocked = False
        self._wake.set()

    def finish(self) -> None:
        """Accept no more deliveries. Held deliveries are still returned, and each postponed batch once more."""
        self._next.extend(entry.batch for entry in self.postponed)
        self.postponed.clear()
        self.finished, self.blocked = True, False
        self._wake.set()

    def discard(self) -> int:
        """Drop the other deliveries, because the generation has ended and the broker delivers them again. Return the number."""
        dropped = self.held - (len(self.taken.deliveries) if self.taken else 0)
        self._batcher.clear()
        self._next.clear()
        self.postponed.clear()
        self._discarded = True
        self._less_held.set()
        self.finish()
        return dropped
