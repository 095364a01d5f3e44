"""Decide when deliveries are a batch. Pure: deliveries and times come in, batches go out."""

from collections import deque
from dataclasses import dataclass

from consumer.ingest.delivery import Delivery

IDLE_S = 0.0005  # no delivery for so long: nothing is waiting, and a commit costs nobody anything


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch is due when one of these is reached."""

    count: int
    bytes: int
    linger_s: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries in order of their tags, without holes: acknowledging `last_tag` with `multiple` acknowledges them."""

    deliveries: list[Delivery]
    size: int
    since: float

    @property
    def last_tag(self) -> int:
        """The delivery tag up to which a commit of this batch may acknowledge."""
        return self.deliveries[-1].tag


class Batcher:
    """What has been received and not been taken. `now` is the loop's time, in seconds."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._waiting: deque[tuple[list[Delivery], float]] = deque()
        self._last = 0.0
        self.count = 0
        self.size = 0

    def add(self, deliveries: list[Delivery], now: float) -> None:
        """Take in what one read from the socket gave."""
        self._waiting.append((deliveries, now))
        self._last = now
        self.count += len(deliveries)
        self.size += sum(delivery.size for delivery in deliveries)

    @property
    def oldest(self) -> float | None:
        """When the delivery that has waited longest came."""
        return self._waiting[0][1] if self._waiting else None

    def due_at(self) -> float | None:
        """When a batch is due: in the past if one is, None while there is nothing."""
        if not self._waiting:
            return None
        if self.count >= self._limits.count or self.size >= self._limits.bytes:
            return 0.0
        return min(self._waiting[0][1] + self._limits.linger_s, self._last + IDLE_S)

    def take(self) -> Batch:
        """The next batch: from the oldest on, up to the limits, and at least one delivery."""
        since = self._waiting[0][1]
        taken: list[Delivery] = []
        size = 0
        while self._waiting and not self._full(len(taken), size):
            deliveries, came = self._waiting.popleft()
            fits, grown = self._fitting(deliveries, len(taken), size)
            taken += deliveries[:fits]
            size = grown
            if fits < len(deliveries):
                self._waiting.appendleft((deliveries[fits:], came))
                break
        self.count -= len(taken)
        self.size -= size
        return Batch(taken, size, since)

    def _full(self, count: int, size: int) -> bool:
        return count >= self._limits.count or size >= self._limits.bytes

    def _fitting(self, deliveries: list[Delivery], count: int, size: int) -> tuple[int, int]:
        """How many of the deliveries still go into a batch of this fill, and its size with them."""
        for index, delivery in enumerate(deliveries):
            if self._full(count + index, size):
                return index, size
            size += delivery.size
        return len(deliveries), size

    def clear(self) -> int:
        """Forget everything, and say how many deliveries that was."""
        forgotten, self.count, self.size = self.count, 0, 0
        self._waiting.clear()
        return forgotten
