"""Decide when deliveries are a batch. Pure: deliveries and times come in, batches go out."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from codec.event import Event
from consumer.amqp.delivery import Delivery, size_of

IDLE_S = 0.0005  # no delivery for so long: nothing is waiting, if nobody could say so


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch is due when one of these is reached."""

    count: int
    bytes: int
    linger_s: float


@dataclass(slots=True)
class Batch:
    """Deliveries in order of their tags. `events`: what became of them, one for one, once it was asked for."""

    deliveries: list[Delivery]
    size: int
    since: float
    events: Sequence[Event] | None = None

    @property
    def last_tag(self) -> int:
        """The delivery tag up to which a commit of this batch may acknowledge."""
        return self.deliveries[-1].tag

    def events_by(self, make: Callable[[Sequence[Delivery]], Sequence[Event]]) -> Sequence[Event]:
        """The events of the deliveries. Made once, because a redelivery is recognised once."""
        if self.events is None:
            self.events = make(self.deliveries)
        return self.events


def divided(batch: Batch) -> list[Batch]:
    """Parts of a batch of at least two deliveries: its largest delivery alone if it is most of the batch, else halves."""
    sizes = [size_of([delivery]) for delivery in batch.deliveries]
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    cuts = {largest, largest + 1} if 2 * sizes[largest] > sum(sizes) else {len(sizes) // 2}
    bounds = sorted(cuts | {0, len(sizes)})
    made = batch.events if batch.events and len(batch.events) == len(sizes) else None
    return [
        Batch(
            batch.deliveries[first:end],
            sum(sizes[first:end]),
            batch.since,
            made[first:end] if made else None,
        )
        for first, end in pairwise(bounds)
    ]


class _Chunk(NamedTuple):
    """What one read from the socket gave."""

    deliveries: list[Delivery]
    size: int
    came: float


class Batcher:
    """What has been received and not been taken. `now` is the loop's time, in seconds."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._waiting: deque[_Chunk] = deque()
        self._last = 0.0
        self._drained = False
        self.count = 0
        self.size = 0

    def add(self, deliveries: list[Delivery], now: float, drained: bool = False) -> None:
        """Take in what one read from the socket gave. `drained`: nothing more was waiting in it."""
        size = size_of(deliveries)
        self._waiting.append(_Chunk(deliveries, size, now))
        self._last, self._drained = now, drained
        self.count += len(deliveries)
        self.size += size

    @property
    def oldest(self) -> float | None:
        """When the delivery that has waited longest came."""
        return self._waiting[0].came if self._waiting else None

    def due_at(self) -> float | None:
        """When a batch is due: in the past if one is, None while there is nothing."""
        if not self._waiting:
            return None
        if self._drained or self.count >= self._limits.count or self.size >= self._limits.bytes:
            return 0.0  # when nothing is waiting, a commit costs nobody anything
        return min(self._waiting[0].came + self._limits.linger_s, self._last + IDLE_S)

    def take(self) -> Batch:
        """The next batch: from the oldest on, up to the limits, and at least one delivery."""
        since = self._waiting[0].came
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
        return Batch(taken, size, since)

    def deliveries(self) -> Iterator[Delivery]:
        """All that wait."""
        for chunk in self._waiting:
            yield from chunk.deliveries

    def _full(self, count: int, size: int) -> bool:
        return count >= self._limits.count or size >= self._limits.bytes

    def _split(self, chunk: _Chunk, count: int, size: int) -> _Chunk:
        """The part of a chunk that still goes into a batch of this fill; the rest waits on."""
        fits, grown = 0, 0
        for delivery in chunk.deliveries:
            if self._full(count + fits, size + grown):
                break
            fits, grown = fits + 1, grown + size_of([delivery])
        if fits < len(chunk.deliveries):
            self._waiting.appendleft(_Chunk(chunk.deliveries[fits:], chunk.size - grown, chunk.came))
        return _Chunk(chunk.deliveries[:fits], grown, chunk.came)

    def clear(self) -> int:
        """Forget everything, and say how many deliveries that was."""
        forgotten, self.count, self.size = self.count, 0, 0
        self._waiting.clear()
        return forgotten
