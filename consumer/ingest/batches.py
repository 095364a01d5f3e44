"""The async face of the batcher, for one generation of deliveries.

Invariant: a delivery that was received and is not committed is in one place: in the batcher, in the batch that was taken,
in a part that is to be taken next, or set aside. Bytes are bound: the socket is not read while more than the bound are
held, and what is set aside has a bound of its own, after which nothing else is taken.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from consumer.amqp.delivery import Delivery
from consumer.ingest.batcher import Batch, Batcher, BatchLimits, divided


class Aside(NamedTuple):
    """A batch that is held unacknowledged until the disk takes `size` bytes."""

    batch: Batch
    size: int


class Batches:
    """Batches to be committed, in order; those that the disk did not take come later."""

    def __init__(self, limits: BatchLimits, held_bytes_max: int) -> None:
        self.flow: Callable[[bool], None] = lambda _: None  # False: stop reading from the socket; True: go on
        self.received = 0
        self.taken: Batch | None = None
        self.aside: deque[Aside] = deque()
        self.blocked = False  # only what is brought back is taken
        self.finished = self._discarded = False
        self._next: deque[Batch] = deque()
        self._batcher = Batcher(limits)
        self._held_bytes_max = held_bytes_max
        self._flowing = True
        self._wake = asyncio.Event()
        self._clock = asyncio.get_running_loop().time

    @property
    def held(self) -> int:
        """Deliveries received and not committed."""
        return self._batcher.count + sum(len(batch.deliveries) for batch in self._outside())

    @property
    def held_bytes(self) -> int:
        """Bytes of them."""
        return self._batcher.size + sum(batch.size for batch in self._outside())

    @property
    def waiting(self) -> int:
        """Deliveries received that are neither committed nor set aside."""
        return self.held - sum(len(entry.batch.deliveries) for entry in self.aside)

    @property
    def oldest(self) -> float | None:
        """Loop time at which the oldest of them came."""
        times = [batch.since for batch in self._outside()]
        if self._batcher.oldest is not None:
            times.append(self._batcher.oldest)
        return min(times, default=None)

    def deliveries(self) -> Iterator[Delivery]:
        """All that are held."""
        for batch in self._outside():
            yield from batch.deliveries
        yield from self._batcher.deliveries()

    def _outside(self) -> Iterator[Batch]:
        """The batches that are not in the batcher any more."""
        if self.taken is not None:
            yield self.taken
        yield from self._next
        for entry in self.aside:
            yield entry.batch

    def put(self, deliveries: list[Delivery], drained: bool = False) -> None:
        """The sink of a session; `drained`: no more was waiting. What comes after the end is left unacknowledged, and given back with the rest."""
        if self.finished:
            return
        self.received += len(deliveries)
        self._batcher.add(deliveries, self._clock(), drained)
        self._wake.set()
        if self._flowing and self._bytes_to_take() > self._held_bytes_max:
            self._flowing = False
            self.flow(False)

    def _bytes_to_take(self) -> int:
        taken = self.taken.size if self.taken else 0
        return self._batcher.size + taken + sum(batch.size for batch in self._next)

    async def take(self) -> Batch | None:
        """The next batch, when it is due; None after the end. To ask again says that the last one is dealt with."""
        self.taken = None
        if not self._flowing and self._bytes_to_take() <= self._held_bytes_max // 2:
            self._flowing = True
            self.flow(True)
        while not self._next:
            there = self._batcher.count and not self.blocked
            if there and self._due():
                self._next.append(self._batcher.take())
            elif self.finished and not there:
                return None
            else:
                await self._wait()
        self.taken = self._next.popleft()
        return self.taken

    def _due(self) -> bool:
        due_at = self._batcher.due_at()
        return due_at is not None and (self.finished or due_at <= self._clock())

    async def _wait(self) -> None:
        """Until something was put, or until what is there is due."""
        self._wake.clear()
        due_at = None if self.blocked else self._batcher.due_at()
        timer = None if due_at is None else asyncio.get_running_loop().call_at(due_at, self._wake.set)
        await self._wake.wait()
        if timer:
            timer.cancel()

    def nothing_left_before(self, tag: int) -> bool:
        """Whether every delivery up to `tag` that is not in the batch that was taken is acknowledged."""
        return not any(batch.deliveries[0].tag < tag for batch in (*self._next, *(entry.batch for entry in self.aside)))

    def divide(self, batch: Batch) -> None:
        """The disk did not take the batch: its parts are taken next."""
        self.taken = None
        if not self._discarded:
            self._next.extendleft(reversed(divided(batch)))

    def set_aside(self, batch: Batch, size: int, alone: bool = False) -> None:
        """Hold the batch unacknowledged until `bring_back`. `alone`: nothing else is taken until `unblock`."""
        self.taken = None
        if self._discarded:
            return
        self.aside.append(Aside(batch, size))
        crowded = len(self.aside) > 1 and sum(entry.batch.size for entry in self.aside) > self._held_bytes_max
        self.blocked = not self.finished and (self.blocked or alone or crowded)

    def bring_back(self) -> Batch:
        """Take the batch next that was set aside first."""
        batch = self.aside.popleft().batch
        self._next.append(batch)
        self._wake.set()
        return batch

    def unblock(self, size: int) -> None:
        """The disk took `size` bytes that it did not take before: what is no larger is taken, and everything else."""
        self._next.extend(entry.batch for entry in self.aside if entry.size <= size)
        self.aside = deque(entry for entry in self.aside if entry.size > size)
        self.blocked = False
        self._wake.set()

    def keep_alive(self, beat: Callable[[], None]) -> None:
        """While nothing is read from the socket, no heartbeat of the broker is either."""
        if not self._flowing:
            beat()

    def finish(self) -> None:
        """No more will be put; what is there can still be taken, and what was set aside once more."""
        self._next.extend(entry.batch for entry in self.aside)
        self.aside.clear()
        self.finished, self.blocked = True, False
        self._wake.set()

    def discard(self) -> int:
        """The generation has ended: what was not taken comes again. Says how many deliveries that was."""
        forgotten = self.held - (len(self.taken.deliveries) if self.taken else 0)
        self._batcher.clear()
        self._next.clear()
        self.aside.clear()
        self._discarded = True
        self.finish()
        return forgotten
