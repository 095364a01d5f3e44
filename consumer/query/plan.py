"""Archives that a search has planned to read, which may be moved, rewritten or removed before they are read.

Invariants: an archive is looked for again when it is not as it was planned, and not for each of its batches; the directories are walked
again only if an archive has vanished since the last walk; an archive that is gone is one fault.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

from consumer.archive.counted import counted
from consumer.archive.listing import find_archives, id_of
from consumer.archive.reading.catalog import Wanted, look_at
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.reader import StoredBatch
from consumer.archive.reading.tombstones import Tombstones
from consumer.errors import DeedboxError
from consumer.query.batches import Job, Moved, Read, numbers_of, read_batch
from consumer.query.query import Query

RENEWALS_MAX = 3  # an archive is sealed, compacted and repacked; more changes during one search are a fault


class Places:
    """Where archives are now, below the paths of a search."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._listed: set[Path] | None = None

    def of(self, path: Path) -> list[Path]:
        """Other paths with the name of the archive that was at `path`."""
        if self._listed is None or path in self._listed:
            self._listed = set(find_archives(self._roots))
        wanted = id_of(path)
        return sorted(
            other for other in self._listed if wanted is not None and id_of(other) == wanted and other != path
        )


class Planned:
    """One archive of a plan. `jobs`: its batches that were not read yet, by the number of their first event."""

    def __init__(self, path: Path, rank: int, identity: tuple[str, str] | None, places: Places) -> None:
        self.path, self.rank = path, rank
        self.jobs: dict[int, Job] = {}
        self._identity, self._places = identity, places
        self._batches: list[StoredBatch] | None = None  # all batches as they are now, if the archive was found again
        self._renewals, self._gone = 0, False
        self._firsts: list[int] = []

    def read_again(self, job: Job) -> list[tuple[Job, Read]]:
        """A job that could not be read at its place, and others of `jobs` whose events are in the same batches now."""
        while not self._gone:
            batches = self._now(job.batch)
            reads = [read_batch(job._replace(path=self.path, batch=batch)) for batch in batches]
            moved = next((read for read in reads if isinstance(read, Moved)), None)
            if moved is None:
                return list(self._shared(job, batches, reads))
            if not self._renew():
                self._gone = True
                return [(job, moved)]
        return [(job, Read([]))]

    def _now(self, planned: StoredBatch) -> list[StoredBatch]:
        """The batches that hold the events of a planned one now."""
        if self._batches is None:
            return [planned]
        numbers = numbers_of(planned)
        at = bisect_right(self._batches, numbers.start, key=lambda batch: numbers_of(batch).stop)
        until = bisect_left(self._batches, numbers.stop, key=lambda batch: numbers_of(batch).start)
        return self._batches[at:until]

    def _shared(self, job: Job, batches: Sequence[StoredBatch], reads: Sequence[Read]) -> Iterator[tuple[Job, Read]]:
        if damaged := next((read for read in reads if read.faults and not read.events), None):
            yield job, Read([], damaged.faults)
            return
        held = {number for batch in batches for number in numbers_of(batch)}
        events = [pair for read in reads for pair in read.events]
        missing = len(set(numbers_of(job.batch)) - held)
        faults = [fault for read in reads for fault in read.faults]  # of single events: the others are given out
        if missing:
            reason = f"{counted(missing, 'event')} missing from event {job.batch.header.first_event} on"
            faults.append(ReadFault(self.path, None, reason))
        wanted = numbers_of(job.batch)
        yield job, Read([pair for pair in events if pair[0] in wanted], tuple(faults))
        for other in self._others(job, held):
            wanted = numbers_of(other.batch)
            yield other, Read([pair for pair in events if pair[0] in wanted])

    def _others(self, job: Job, held: set[int]) -> list[Job]:
        """Jobs all of whose events are held."""
        self._firsts = self._firsts or sorted(self.jobs)
        at = bisect_left(self._firsts, min(held, default=0))
        until = bisect_right(self._firsts, max(held, default=-1))
        near = [self.jobs[first] for first in self._firsts[at:until] if first in self.jobs]
        return [other for other in near if other.batch != job.batch and held.issuperset(numbers_of(other.batch))]

    def _renew(self) -> bool:
        """Look for the archive again; whether it is there."""
        if self._renewals == RENEWALS_MAX:
            return False
        self._renewals += 1
        return self._look(self.path) or any(map(self._look, self._places.of(self.path)))

    def _look(self, path: Path) -> bool:
        try:
            entry = look_at(path, Wanted())
        except (OSError, DeedboxError):
            return False
        if self._identity not in (None, entry.identity):
            return False
        self.path, self._batches = path, entry.batches
        return True


def read_events(path: Path, batch: StoredBatch, tombstones: Tombstones, query: Query) -> Read:
    """The events of a batch that a query accepts, also if its archive was moved or rewritten since the batch was looked up."""
    job = Job(path, 0, batch, tombstones, query)
    read = read_batch(job)
    return Planned(path, 0, None, Places([path.parent])).read_again(job)[0][1] if isinstance(read, Moved) else read
