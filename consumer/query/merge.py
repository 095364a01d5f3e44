"""Merge the events of many batches by their keys, in bounded memory, also if all batches overlap in time.

Role: `Search` adds batches in the order of their lowest keys, and pops the events that no later batch can precede. Invariants: waiting
bodies use at most HELD_BYTES_MAX, without those of the batch that is being added. For all other waiting events, memory holds
only time and number, 24 bytes per event. They are read again when they are next, at most HELD_BYTES_MAX at a time.
"""

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from codec.event import Event
from consumer.query.batches import BatchRequest

HELD_BYTES_MAX = 64 << 20
EVENT_BYTES = 700  # memory of an event's objects without body and header

Key = tuple[int, int, int]  # time, index of the archive, number in the archive; all negated if the newest comes first
Numbered = tuple[int, Event]
Reread = Callable[[Iterable[BatchRequest]], Iterator[tuple[BatchRequest, Sequence[Numbered]]]]


class SortedBatch:
    """The accepted events of one batch in the order of their keys.

    `events`: the events from the first on that were or are in memory; None for a popped event. `next`: index of the next event.
    """

    __slots__ = ("_numbers", "_sign", "_times", "archive_index", "events", "next", "request", "sizes")

    def __init__(self, request: BatchRequest, events: Iterable[Numbered], sign: int) -> None:
        ordered = sorted((sign * event.time_us, sign * number, event) for number, event in events)
        self.request, self.archive_index, self._sign = request, sign * request.archive_index, sign
        self._times = array("q", [time for time, _, _ in ordered])
        self._numbers = array("q", [number for _, number, _ in ordered])
        self.sizes = array("Q", [EVENT_BYTES + len(event.body) + len(event.header) for _, _, event in ordered])
        self.events: list[Event | None] = [event for _, _, event in ordered]
        self.next = 0

    def __len__(self) -> int:
        return len(self._times)

    def key(self, at: int) -> Key:
        """The key of an event, which need not be in memory."""
        return self._times[at], self.archive_index, self._numbers[at]

    def number(self, at: int) -> int:
        """The number of an event in its archive."""
        return self._sign * self._numbers[at]

    def count_before(self, key: Key) -> int:
        """The number of events with lower keys."""
        return bisect_left(range(len(self)), key, key=self.key)

    def pop(self) -> Event | None:
        """Remove the next event from memory and return it; None if it could not be read again."""
        event = self.events[self.next]
        self.events[self.next] = None
        self.next += 1
        return event

    def drop(self, key: Key) -> None:
        """Drop the events from this key on from memory."""
        del self.events[max(self.count_before(key), self.next) :]

    def restore(self, until: int, found: Sequence[Numbered]) -> None:
        """Put the events before index `until` into memory again. `found`: the events of the batch, read again."""
        known = dict(found)
        self.events += [known.get(self.number(at)) for at in range(len(self.events), until)]


class Merge:
    """The waiting events of all batches. `reread`: reads the events of requests again that were added before. `held`: bytes of the bodies in memory."""

    def __init__(self, descending: bool, reread: Reread) -> None:
        self._sign, self._reread = -1 if descending else 1, reread
        self._heap: list[tuple[Key, int, SortedBatch]] = []
        self.held = self._serial = 0
        self._horizon: Key | None = None  # no event from this key on is in memory

    def add(self, request: BatchRequest, events: Iterable[Numbered]) -> None:
        """Add the accepted events of a batch."""
        batch = SortedBatch(request, events, self._sign)
        if not len(batch):
            return
        if self._horizon is not None:
            batch.drop(self._horizon)
        self.held += sum(batch.sizes[: len(batch.events)])
        self._serial += 1
        heapq.heappush(self._heap, (batch.key(0), self._serial, batch))
        if self.held > HELD_BYTES_MAX:
            self._trim()

    def pop_until(self, bound: Key | None = None) -> Iterator[tuple[SortedBatch, int, Event]]:
        """Pop the events with a key below `bound`, or all, in the order of their keys: batch, number and event."""
        heap = self._heap
        while heap and (bound is None or heap[0][0] < bound):
            _, serial, batch = heap[0]
            if batch.next == len(batch.events):
                self._refill()
                if batch.next == len(batch.events):
                    return  # the search was stopped
            number, size = batch.number(batch.next), batch.sizes[batch.next]
            event = batch.pop()
            self.held -= size
            if batch.next < len(batch):
                heapq.heapreplace(heap, (batch.key(batch.next), serial, batch))
            else:
                heapq.heappop(heap)
            if event is not None:
                yield batch, number, event

    def _trim(self) -> None:
        """Drop the bodies that are needed last, until the others use half of HELD_BYTES_MAX."""
        held = sorted(
            (batch.key(at), batch.sizes[at])
            for _, _, batch in self._heap
            for at in range(batch.next, len(batch.events))
        )
        horizon = self._key_after(HELD_BYTES_MAX // 2, held)
        if horizon is None:
            return  # a single event is larger
        self._horizon = horizon
        for _, _, batch in self._heap:
            batch.drop(horizon)
        self.held = sum(sum(batch.sizes[batch.next : len(batch.events)]) for _, _, batch in self._heap)

    def _refill(self) -> None:
        """Read the next events again, as many as HELD_BYTES_MAX allows."""
        self._horizon = self._key_after(
            HELD_BYTES_MAX, heapq.merge(*(_keys_and_sizes(batch) for _, _, batch in self._heap))
        )
        waiting = {}
        for _, _, batch in self._heap:
            until = len(batch) if self._horizon is None else batch.count_before(self._horizon)
            if until > len(batch.events):
                waiting[batch_key(batch.request)] = batch, until
        for request, found in self._reread([batch.request for batch, _ in waiting.values()]):
            batch, until = waiting[batch_key(request)]
            self.held += sum(batch.sizes[len(batch.events) : until])
            batch.restore(until, found)

    def _key_after(self, bound: int, keys: Iterable[tuple[Key, int]]) -> Key | None:
        """The first key after this number of bytes. It is never the key of the next event."""
        size = 0
        for key, more in keys:
            size += more
            if size > bound and key > self._heap[0][0]:
                return key
        return None


def batch_key(request: BatchRequest) -> tuple[int, int]:
    """A value that is unique for each batch of a search."""
    return request.archive_index, request.batch.header.first_event


def _keys_and_sizes(batch: SortedBatch) -> Iterator[tuple[Key, int]]:
    return ((batch.key(at), batch.sizes[at]) for at in range(batch.next, len(batch)))
