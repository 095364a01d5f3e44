"""The archives that a search reads. Each may be moved, rewritten or removed between planning and reading.

Invariants: an archive that has changed is looked up again once, and not for each of its batches. The directories are listed again
only if an archive has disappeared since the last listing. A removed archive is one fault.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from codec.counted import counted
from consumer.archive.listing import find_archives, id_of
from consumer.archive.location import Location
from consumer.archive.reading.catalog import Wanted, look_at
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.reader import StoredBatch
from consumer.archive.reading.tombstones import Tombstones
from consumer.errors import DeedboxError
from consumer.query.batches import BatchEvents, BatchRequest, MovedBatch, event_numbers, read_batch
from consumer.query.query import Query

RENEWALS_MAX = 3  # an archive can be sealed, compacted and repacked; more changes during one search are a fault


class ArchiveLocations:
    """Finds the present paths of archives below the paths of a search."""

    def __init__(self, roots: Sequence[Location]) -> None:
        self._roots = roots
        self._listed: set[Location] | None = None

    def of(self, path: Location) -> list[Location]:
        """Other paths with the name of the archive that was at `path`."""
        if self._listed is None or path in self._listed:
            self._listed = set(find_archives(self._roots))
        wanted = id_of(path)
        return sorted(
            (other for other in self._listed if wanted is not None and id_of(other) == wanted and other != path),
            key=str,
        )


class PlannedArchive:
    """One archive of a search. `requests`: its unread batches by the number of their first event.

    `identity`: distinguishes the archive from another one of the same name; None if it is unknown.
    """

    def __init__(
        self, path: Location, archive_index: int, identity: tuple[str, str] | None, places: ArchiveLocations
    ) -> None:
        self.path, self.archive_index = path, archive_index
        self.requests: dict[int, BatchRequest] = {}
        self._identity, self._places = identity, places
        self._batches: list[StoredBatch] | None = None  # its present batches, if the archive was looked up again
        self._renewals, self._gone = 0, False
        self._firsts: list[int] = []

    def read_again(self, request: BatchRequest) -> list[tuple[BatchRequest, BatchEvents]]:
        """The events of a batch that has moved, and of other requests whose events are now in the same batches."""
        while not self._gone:
            batches = self._now(request.batch)
            reads = [read_batch(request._replace(path=self.path, batch=batch)) for batch in batches]
            moved = next((read for read in reads if isinstance(read, MovedBatch)), None)
            if moved is None:
                return list(self._shared(request, batches, reads))
            if not self._renew():
                self._gone = True
                return [(request, moved)]
        return [(request, BatchEvents([]))]

    def _now(self, planned: StoredBatch) -> list[StoredBatch]:
        """The batches that hold the events of a planned batch now."""
        if self._batches is None:
            return [planned]
        numbers = event_numbers(planned)
        at = bisect_right(self._batches, numbers.start, key=lambda batch: event_numbers(batch).stop)
        until = bisect_left(self._batches, numbers.stop, key=lambda batch: event_numbers(batch).start)
        return self._batches[at:until]

    def _shared(
        self, request: BatchRequest, batches: Sequence[StoredBatch], reads: Sequence[BatchEvents]
    ) -> Iterator[tuple[BatchRequest, BatchEvents]]:
        """The events of the request, then of the other requests whose events are all in `batches`."""
        if damaged := next((read for read in reads if read.faults and not read.events), None):
            yield request, BatchEvents([], damaged.faults)
            return
        held = {number for batch in batches for number in event_numbers(batch)}
        events = [pair for read in reads for pair in read.events]
        missing = len(set(event_numbers(request.batch)) - held)
        faults = [fault for read in reads for fault in read.faults]  # faults of single events
        if missing:
            reason = f"{counted(missing, 'event')} missing from event {request.batch.header.first_event} on"
            faults.append(ReadFault(self.path, None, reason))
        wanted = event_numbers(request.batch)
        yield request, BatchEvents([pair for pair in events if pair[0] in wanted], tuple(faults))
        for other in self._others(request, held):
            wanted = event_numbers(other.batch)
            yield other, BatchEvents([pair for pair in events if pair[0] in wanted])

    def _others(self, request: BatchRequest, held: set[int]) -> list[BatchRequest]:
        """The other requests whose events are all among the numbers `held`."""
        self._firsts = self._firsts or sorted(self.requests)
        at = bisect_left(self._firsts, min(held, default=0))
        until = bisect_right(self._firsts, max(held, default=-1))
        near = [self.requests[first] for first in self._firsts[at:until] if first in self.requests]
        return [other for other in near if other.batch != request.batch and held.issuperset(event_numbers(other.batch))]

    def _renew(self) -> bool:
        """Look the archive up again. Returns whether it was found."""
        if self._renewals == RENEWALS_MAX:
            return False
        self._renewals += 1
        return self._look(self.path) or any(map(self._look, self._places.of(self.path)))

    def _look(self, path: Location) -> bool:
        try:
            entry = look_at(path, Wanted())
        except (OSError, DeedboxError):
            return False
        if self._identity not in (None, entry.identity):
            return False
        self.path, self._batches = entry.path, entry.batches
        return True


def read_events(path: Location, batch: StoredBatch, tombstones: Tombstones, query: Query) -> BatchEvents:
    """The events of a batch that a query accepts, also if its archive was moved or rewritten after the batch was looked up."""
    request = BatchRequest(path, 0, batch, tombstones, query)
    read = read_batch(request)
    return (
        PlannedArchive(path, 0, None, ArchiveLocations([path.parent])).read_again(request)[0][1]
        if isinstance(read, MovedBatch)
        else read
    )
