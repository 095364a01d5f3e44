"""Find events in sealed and open archives, ordered by time across files and instances.

Role: the catalog gives the batches that may hold a wanted event. They are read in the order of their first times, and an event
is yielded as soon as no unread batch can hold an earlier one. Invariants: memory for waiting bodies is bounded (`merge`). Damage makes only
the events of its batch unreadable; it is reported once, and the search continues. An archive that is moved or rewritten during the
search is found again (`plan`). A search acquires no lock that ingest needs. A stopped search reads no further batch.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from typing import NamedTuple

from codec.counted import counted
from codec.event import Event
from consumer.archive.location import Location
from consumer.archive.reading.catalog import ArchiveMatch, entries
from consumer.archive.reading.duplicates import Duplicates
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.found import StoredBatch
from consumer.archive.reading.in_threads import in_threads
from consumer.objects.url import ObjectUrl
from consumer.query.batch_groups import GROUPS_AHEAD_MAX, grouped, read_group
from consumer.query.batches import (
    FETCHED_FIRST,
    BatchEvents,
    BatchRequest,
    MovedBatch,
    event_numbers,
    with_fetched_frame,
)
from consumer.query.executors import ahead_of, is_remote
from consumer.query.merge import Key, Merge, Numbered, SortedBatch
from consumer.query.plan import ArchiveLocations, PlannedArchive, read_events
from consumer.query.prefetch import scan
from consumer.query.query import Query

__all__ = ["Found", "Search", "read_events"]


Choose = Callable[[ArchiveMatch], Sequence[StoredBatch]]


class Found(NamedTuple):
    """An event and the text form of its position: `a1-00000007:41`."""

    event: Event
    position: str


class Placed(NamedTuple):
    """An event, the index of its archive among those that the search looked up, and its number there."""

    event: Event
    archive_index: int
    number: int


class Search:
    """One search. Iterate over it once.

    Afterwards: `faults` holds the parts that could not be read, `duplicates` counts the hidden duplicates, and `archives`, `batches_read`,
    `bytes_read` and `bytes` hold its cost. `descending`: the newest event comes first. `executor`: reads batches ahead in its workers.
    `verify_filters`: verify the checksum of each footer before its filters are used, so that no event can be missed. `bodies`: without
    them, the events are only good for counting. `choose`: called for each archive in order; the batches to read, of those that may hold a wanted event.
    """

    def __init__(
        self,
        paths: Sequence[Location],
        query: Query | None = None,
        descending: bool = False,
        executor: Executor | None = None,
        verify_filters: bool = False,
        bodies: bool = True,
        choose: Choose | None = None,
    ) -> None:
        query = query or Query()
        self._choose = choose
        self.faults: list[ReadFault] = []
        self.duplicates = Duplicates(query.duplicates)
        self.archives = self.batches_read = self.bytes_read = self.bytes = 0
        self.executor, self._bodies = executor, bodies
        self._paths, self._query, self._descending, self._verify_filters = paths, query, descending, verify_filters
        self._requests: list[BatchRequest] | None = None
        self._archives: list[PlannedArchive] = []
        self._names: list[str] = []
        self._stopped = False

    def plan(self) -> int:
        """Read the indexes of the archives. Returns the bytes of the batches that the search will read. Iterating does this too."""
        for _ in self._plan():
            pass
        return sum(request.batch.size for request in self._requests or [])

    def _plan(self) -> Iterator[None]:
        """Read the indexes, and yield after each archive."""
        if self._requests is None:
            requests: list[BatchRequest] = []
            for found in self._look_up():
                requests += found
                yield
            self._requests = sorted(requests, key=self._edge)

    def stop(self) -> None:
        """End the iteration before the next batch is read. May be called from another thread."""
        self._stopped = True

    def __iter__(self) -> Iterator[Found]:
        with closing(self.steps()) as steps:
            yield from (found for found in steps if found is not None)

    def steps(self) -> Generator[Found | None, None, None]:
        """The events, and None after each archive whose index was read and after each batch that was read.

        So the caller gets control regularly, also if the search reads many batches without finding an event.
        """
        with closing(self.placed_steps()) as steps:
            for placed in steps:
                yield placed and Found(placed.event, f"{self._names[placed.archive_index]}:{placed.number}")

    def placed_steps(self) -> Generator[Placed | None, None, None]:
        """As `steps`, with the places of the events as numbers."""
        with closing(self._in_order()) as steps:
            yield from (placed for placed in steps if placed is None or self.duplicates.shows(placed.event))

    def _in_order(self) -> Generator[Placed | None, None, None]:
        yield from self._plan()
        merge = Merge(self._descending, self._reread)
        with closing(self._read(self._requests or [])) as reads:
            for request, read in reads:
                yield from map(_placed, merge.pop_until(self._edge(request)))
                for same, its in self._whole(request, read):
                    self.faults += its.faults
                    merge.add(same, its.events)
                yield None
        if not self._stopped:
            yield from map(_placed, merge.pop_until())

    def _look_up(self) -> Iterator[list[BatchRequest]]:
        """The batches that may hold a wanted event, one list for each archive."""
        places = ArchiveLocations(self._paths)
        for archive_index, entry in enumerate(entries(self._paths, self._query.wanted, self._verify_filters)):
            if self._stopped:
                return
            self._take(entry)
            planned = PlannedArchive(entry.path, archive_index, entry.identity, places)
            self._archives.append(planned)
            self._names.append(entry.id)
            batches = entry.batches if self._choose is None else self._choose(entry)
            requests = [
                BatchRequest(entry.path, archive_index, batch, entry.tombstones, self._query) for batch in batches
            ]
            planned.requests.update((request.batch.header.first_event, request) for request in requests)
            yield requests

    def _edge(self, request: BatchRequest) -> Key:
        """The lowest key that an event of the batch can have, in the order of the search."""
        header, numbers = request.batch.header, event_numbers(request.batch)
        if self._descending:
            return -header.last_us, -request.archive_index, 1 - numbers.stop
        return header.first_us, request.archive_index, numbers.start

    def _read(self, requests: Sequence[BatchRequest]) -> Generator[tuple[BatchRequest, BatchEvents], None, None]:
        """Each request and its events, in the order of the requests, until the search is stopped.

        A request is sent with the latest known path of its archive.
        """
        current: Generator[BatchRequest, None, None] = (
            request._replace(path=self._archives[request.archive_index].path) for request in requests
        )
        with ExitStack() as stack:
            if any(isinstance(request.path, ObjectUrl) for request in requests) and not is_remote(self.executor):
                current = in_threads(with_fetched_frame, current, begin=FETCHED_FIRST)
                stack.callback(current.close)
            groups = ([request] for request in current) if self.executor is None else grouped(current)
            work = partial(read_group, bodies=self._bodies)
            ahead = min(ahead_of(self.executor), GROUPS_AHEAD_MAX)
            reads = stack.enter_context(closing(scan(self.executor, work, groups, ahead)))
            every = chain.from_iterable(reads)
            for request in requests:
                if self._stopped:
                    return
                read = next(every)
                self.batches_read += 1
                self.bytes_read += request.batch.size
                yield request, read

    def _whole(self, request: BatchRequest, read: BatchEvents) -> Iterable[tuple[BatchRequest, BatchEvents]]:
        """The request and its events. After a rewrite, one batch may hold the events of several requests: then all of them."""
        planned = self._archives[request.archive_index]
        if planned.requests.get(request.batch.header.first_event) is not request:
            return []  # its events were returned with another request
        found = planned.read_again(request) if isinstance(read, MovedBatch) else [(request, read)]
        for same, _ in found:
            del planned.requests[same.batch.header.first_event]
        return found

    def _reread(self, requests: Iterable[BatchRequest]) -> Iterator[tuple[BatchRequest, Sequence[Numbered]]]:
        """The events of requests that were read before and whose bodies were dropped from memory."""
        with closing(self._read(list(requests))) as reads:
            for request, first in reads:
                read = (
                    self._archives[request.archive_index].read_again(request)[0][1]
                    if isinstance(first, MovedBatch)
                    else first
                )
                self.faults += read.faults
                yield request, read.events

    def _take(self, entry: ArchiveMatch) -> None:
        self.archives += 1
        self.bytes += entry.size
        self.bytes_read += entry.bytes_read
        self.faults += entry.faults

    def explain(self) -> str:
        """The cost of the search, as one line."""
        share = 100 * self.bytes_read / self.bytes if self.bytes else 0.0
        return (
            f"read {self.bytes_read:,} of {self.bytes:,} bytes ({share:.1f} %): "
            f"the index of {counted(self.archives, 'archive')}, and {self.batches_read:,} {'batch' if self.batches_read == 1 else 'batches'}"
        )


def _placed(taken: tuple[SortedBatch, int, Event]) -> Placed:
    batch, number, event = taken
    return Placed(event, batch.request.archive_index, number)
