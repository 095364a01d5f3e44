"""The events that arrived last, across archives. `tail` begins with them.

Invariants: the events come in the order of their arrival; if several arrived at the same time, in the order of their positions. No wanted event
that arrived later is left out. Names of sealed archives and headers of batches say when their last event arrived. So reading begins
with the newest, and stops when no batch that is left can hold a newer event. The index of an archive leaves out batches without a wanted event.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from codec.event import Event
from consumer.archive import naming
from consumer.archive.location import Location
from consumer.archive.reading.catalog import ArchiveMatch, Wanted, entries_at, look_up, unread
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.in_threads import in_threads
from consumer.archive.reading.reader import StoredBatch
from consumer.errors import DeedboxError
from consumer.objects.url import ObjectUrl
from consumer.query.query import Query
from consumer.query.search import Found, read_events

_Key = tuple[float, str, int, float, float]  # arrival, instance, sequence, number of the event, and a serial
_ANY = float("inf")
LOOKED_UP_FIRST = 2  # archives in object storage whose index is read before it is known whether more are needed


@dataclass(frozen=True)
class Candidate:
    """An archive that may hold some of the newest events. `entry`: its match in the catalog, if it was looked up before. `copies`: all places of archives with its name."""

    path: Location
    id: naming.ArchiveId
    entry: ArchiveMatch | None = None
    copies: tuple[Location, ...] = ()

    @property
    def bound(self) -> _Key:
        """No event of the archive has a higher key."""
        last = naming.last_arrival_us(self.path)
        return _ANY if last is None or self.entry is not None else last, *self._id, _ANY, _ANY

    def batch_bound(self, batch: StoredBatch) -> _Key:
        """No event of the batch has a higher key."""
        return batch.header.last_arrived_us, *self._id, batch.header.first_event + batch.header.events, _ANY

    @property
    def _id(self) -> tuple[str, int]:
        return self.id.instance, self.id.sequence


class Newest:
    """Up to `count` events. `accepts`: whether an event is wanted. `faults`: what could not be read."""

    def __init__(self, count: int, wanted: Wanted, accepts: Callable[[Location, int, Event], bool]) -> None:
        self.faults: list[ReadFault] = []
        self._count, self._wanted, self._accepts = count, wanted, accepts
        self._heap: list[tuple[_Key, Found]] = []
        self._serial = 0

    def of(self, candidates: Sequence[Candidate]) -> list[Found]:
        """The newest events of these archives."""
        ordered = sorted(candidates, key=lambda one: one.bound, reverse=True)
        with ExitStack() as stack:
            matches: Iterator[list[ArchiveMatch]] = map(self._matches, ordered)
            if any(isinstance(path, ObjectUrl) for one in ordered for path in (one.path, *one.copies)):
                matches = stack.enter_context(closing(in_threads(self._matches, ordered, begin=LOOKED_UP_FIRST)))
            for candidate in ordered:
                if not self._may_hold(candidate.bound):
                    break
                for entry in next(matches):
                    self._read(candidate, entry)
        return [found for _, found in sorted(self._heap)]

    def _may_hold(self, bound: _Key) -> bool:
        """Whether an event with this key would be one of the newest."""
        return len(self._heap) < self._count or (self._count > 0 and bound > self._heap[0][0])

    def _matches(self, candidate: Candidate) -> list[ArchiveMatch]:
        """The archives of a candidate: one, unless different archives have its name."""
        if candidate.entry is not None:
            return [candidate.entry]
        if candidate.copies:
            return entries_at(candidate.copies, candidate.copies, self._wanted)
        try:
            return [look_up(candidate.path, self._wanted)]
        except (OSError, DeedboxError) as error:
            return [unread(candidate.path, error)]

    def _read(self, candidate: Candidate, entry: ArchiveMatch) -> None:
        if entry.identity is None:
            self.faults += entry.faults
            return
        if not entry.path.name.endswith(naming.OPEN_SUFFIX):
            self.faults += entry.faults  # the end of an open one is on its way, or was never whole
        batches = [batch for batch in entry.batches if self._wanted.spans(batch.header)]
        for batch in sorted(batches, key=candidate.batch_bound, reverse=True):
            if not self._may_hold(candidate.batch_bound(batch)):
                return
            read = read_events(entry.path, batch, entry.tombstones, Query())
            self.faults += read.faults
            self._push(candidate, read.events)

    def _push(self, candidate: Candidate, events: Sequence[tuple[int, Event]]) -> None:
        for key, found in self._found(candidate, events):
            if len(self._heap) < self._count:
                heapq.heappush(self._heap, (key, found))
            else:
                heapq.heapreplace(self._heap, (key, found))

    def _found(self, candidate: Candidate, events: Sequence[tuple[int, Event]]) -> Iterator[tuple[_Key, Found]]:
        id = candidate.id
        for number, event in reversed(events):
            key = (event.arrived_us, id.instance, id.sequence, number, self._serial + 1)
            if self._may_hold(key) and self._accepts(candidate.path, number, event):
                self._serial += 1
                yield key, Found(event, f"{id}:{number}")
