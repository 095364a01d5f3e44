"""Group deliveries into batches and decide when a batch is due. Pure: the caller passes deliveries and times."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from codec.event import Event
from consumer.amqp.delivery import Delivery, size_of

IDLE_S = 0.0005  # after this time without a delivery, none is expected to wait


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch is due when it reaches one of these limits."""

    count: int
    bytes: int
    linger_s: float


@dataclass(slots=True)
class DeliveryBatch:
    """Deliveries in order of their tags. They are committed together.

    `size`: bytes in memory. `since`: loop time at which the first delivery arrived. `events`: one for each delivery, as soon as
    `events_by` was called.
    """

    deliveries: list[Delivery]
    size: int
    since: float
    events: Sequence[Event] | None = None

    @property
    def last_tag(self) -> int:
        """The tag of the last delivery."""
        return self.deliveries[-1].tag

    def events_by(self, make: Callable[[Sequence[Delivery]], Sequence[Event]]) -> Sequence[Event]:
        """Return the events of the deliveries. They are made once only, because a redelivery can be recognised only once."""
        if self.events is None:
            self.events = make(self.deliveries)
        return self.events


def divide(batch: DeliveryBatch) -> list[DeliveryBatch]:
    """Divide a batch of at least two deliveries.

    If the largest delivery has more than half of the bytes, it becomes a part of its own. Otherwise the parts are halves.
    """
    sizes = [size_of([delivery]) for delivery in batch.deliveries]
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    cuts = {largest, largest + 1} if 2 * sizes[largest] > sum(sizes) else {len(sizes) // 2}
    bounds = sorted(cuts | {0, len(sizes)})
    made = batch.events if batch.events and len(batch.events) == len(sizes) else None
    return [
        DeliveryBatch(
            batch.deliveries[first:end],
            sum(sizes[first:end]),
            batch.since,
            made[first:end] if made else None,
        )
        for first, end in pairwise(bounds)
    ]


class _Chunk(NamedTuple):
    """The deliveries of one read. `arrived`: loop time in seconds."""

    deliveries: list[Delivery]
    size: int
    arrived: float


class Batcher:
    """Deliveries that wait for their batch."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._waiting: deque[_Chunk] = deque()
        self._last = 0.0
        self._drained = False
        self.count = 0
        self.size = 0

    def add(self, deliveries: list[Delivery], now: float, drained: bool = False) -> None:
        """Add the deliveries of one read at loop time `now`. `drained`: the socket had no more bytes."""
        size = size_of(deliveries)
        self._waiting.append(_Chunk(deliveries, size, now))
        self._last, self._drained = now, drained
        self.count += len(deliveries)
        self.size += size

    @property
    def oldest(self) -> float | None:
        """The loop time at which the oldest delivery arrived; None if there is none."""
        return self._waiting[0].arrived if self._waiting else None

    def due_at(self) -> float | None:
        """Return the loop time at which a batch is due; None if there are no deliveries."""
        if not self._waiting:
            return None
        if self._drained or self.count >= self._limits.count or self.size >= self._limits.bytes:
            return 0.0  # if the socket is drained, waiting would not make the batch larger
        return min(self._waiting[0].arrived + self._limits.linger_s, self._last + IDLE_S)

    def take(self) -> DeliveryBatch:
        """Remove and return the next batch: the oldest deliveries up to the limits, and at least one."""
        since = self._waiting[0].arrived
        taken: list[Delivery] = []
        size = 0
        while self._waiting and not self._full(len(taken), size):
            chunk = self._waiting.popleft()
            if self._full(len(taken) + len(chunk.deliveries) - 1, size + chunk.size):
                chunk = self._split(chunk, len(taken), size)
            taken += chunk.deliveries
            size += chunk.size
        self.count -= len(taken)
        self.size -= size
        return DeliveryBatch(taken, size, since)

    def deliveries(self) -> Iterator[Delivery]:
        """Iterate over the deliveries that wait."""
        for chunk in self._waiting:
            yield from chunk.deliveries

    def _full(self, count: int, size: int) -> bool:
        return count >= self._limits.count or size >= self._limits.bytes

    def _split(self, chunk: _Chunk, count: int, size: int) -> _Chunk:
        """Return the part of the chunk that fits into a batch with `count` deliveries and `size` bytes. Keep the remainder."""
        fits, grown = 0, 0
        for delivery in chunk.deliveries:
            if self._full(count + fits, size + grown):
                break
            fits, grown = fits + 1, grown + size_of([delivery])
        if fits < len(chunk.deliveries):
            self._waiting.appendleft(_Chunk(chunk.deliveries[fits:], chunk.size - grown, chunk.arrived))
        return _Chunk(chunk.deliveries[:fits], grown, chunk.arrived)

    def clear(self) -> int:
        """Drop all deliveries and return their number."""
        forgotten, self.count, self.size = self.count, 0, 0
        self._waiting.clear()
        return forgotten
