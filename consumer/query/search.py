"""Find events in archives, sealed and open, merged by time across files and instances.

Role: the catalog says which batches may hold what is looked for; they are read in the order of their spans, and an event is
given out when no batch that is left can hold an earlier one. Invariants: the bodies that wait are bounded (`merge`); damage in one
archive costs its own events, is named once, and ends nothing; an archive that is moved or rewritten meanwhile is found again (`plan`);
ingest is never locked out; a search that is stopped reads no other batch.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from codec.event import Event
from consumer.archive.counted import counted
from consumer.archive.reading.catalog import ArchiveMatch, entries
from consumer.archive.reading.duplicates import Duplicates
from consumer.archive.reading.fault import ReadFault
from consumer.query.batches import Job, Moved, Read, numbers_of, read_batch
from consumer.query.merge import Key, Merge, Numbered, Run
from consumer.query.plan import Places, Planned, read_events
from consumer.query.prefetch import scan
from consumer.query.query import Query

__all__ = ["Found", "Search", "read_events"]

READ_AHEAD = 8  # batches that are decoded ahead of the reader, with an executor


class Found(NamedTuple):
    """An event and the text form of its position: `a1-00000007:41`."""

    event: Event
    position: str


class Search:
    """One search. Iterate once; afterwards `faults` names what could not be read, and the counts say what it cost.

    `duplicates` counts the marked events that were hidden.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        query: Query | None = None,
        descending: bool = False,
        executor: Executor | None = None,
        verify_filters: bool = False,
    ) -> None:
        query = query or Query()
        self.faults: list[ReadFault] = []
        self.duplicates = Duplicates(query.duplicates)
        self.archives = self.batches_read = self.bytes_read = self.bytes = 0
        self.executor = executor
        self._paths, self._query, self._descending, self._verify_filters = paths, query, descending, verify_filters
        self._jobs: list[Job] | None = None
        self._planned: list[Planned] = []
        self._names: list[str] = []
        self._stopped = False

    def plan(self) -> int:
        """Look into the indexes; says how many bytes of batches are to be read. The iteration does it otherwise."""
        for _ in self._plan():
            pass
        return sum(job.batch.size for job in self._jobs or [])

    def _plan(self) -> Iterator[None]:
        """Plan, and pause after each archive."""
        if self._jobs is None:
            jobs: list[Job] = []
            for found in self._look_up():
                jobs += found
                yield
            self._jobs = sorted(jobs, key=self._edge)

    def stop(self) -> None:
        """Read no other batch: the iteration ends. May be called from another thread."""
        self._stopped = True

    def __iter__(self) -> Iterator[Found]:
        with closing(self.steps()) as steps:
            yield from (found for found in steps if found is not None)

    def steps(self) -> Generator[Found | None, None, None]:
        """The events, and a None after each archive that was looked up and each batch that was read.

        The next step always comes soon, also if a search reads many batches and finds nothing in them.
        """
        with closing(self._in_order()) as steps:
            yield from (found for found in steps if found is None or self.duplicates.shows(found.event))

    def _in_order(self) -> Generator[Found | None, None, None]:
        yield from self._plan()
        merge = Merge(self._descending, self._reread)
        with closing(self._read(self._jobs or [])) as reads:
            for job, read in reads:
                yield from map(self._found, merge.until(self._edge(job)))
                for same, its in self._whole(job, read):
                    self.faults += its.faults
                    merge.add(same, its.events)
                yield None
        if not self._stopped:
            yield from map(self._found, merge.until())

    def _found(self, taken: tuple[Run, int, Event]) -> Found:
        run, number, event = taken
        return Found(event, f"{self._names[run.job.rank]}:{number}")

    def _look_up(self) -> Iterator[list[Job]]:
        """The batches that may hold an event, archive by archive."""
        places = Places(self._paths)
        for rank, entry in enumerate(entries(self._paths, self._query.wanted, self._verify_filters)):
            if self._stopped:
                return
            self._take(entry)
            planned = Planned(entry.path, rank, entry.identity, places)
            self._planned.append(planned)
            self._names.append(entry.id)
            jobs = [Job(entry.path, rank, batch, entry.tombstones, self._query) for batch in entry.batches]
            planned.jobs.update((job.batch.header.first_event, job) for job in jobs)
            yield jobs

    def _edge(self, job: Job) -> Key:
        """The lowest key that an event of the batch can have, seen from the side from which the search comes."""
        header, numbers = job.batch.header, numbers_of(job.batch)
        if self._descending:
            return -header.last_us, -job.rank, 1 - numbers.stop
        return header.first_us, job.rank, numbers.start

    def _read(self, jobs: Sequence[Job]) -> Generator[tuple[Job, Read], None, None]:
        """Each job with what it gave, in their order, until the search is stopped. Paths are those that are known when it begins."""
        current = (job._replace(path=self._planned[job.rank].path) for job in jobs)
        with closing(scan(self.executor, read_batch, current, READ_AHEAD)) as reads:
            for job in jobs:
                if self._stopped:
                    return
                read = next(reads)
                self.batches_read += 1
                self.bytes_read += job.batch.size
                yield job, read

    def _whole(self, job: Job, read: Read) -> Iterable[tuple[Job, Read]]:
        """What a job gave, each job once; of an archive that was rewritten, one batch may hold the events of several jobs."""
        planned = self._planned[job.rank]
        if planned.jobs.get(job.batch.header.first_event) is not job:
            return []  # came with another one
        found = planned.read_again(job) if isinstance(read, Moved) else [(job, read)]
        for same, _ in found:
            del planned.jobs[same.batch.header.first_event]
        return found

    def _reread(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Sequence[Numbered]]]:
        """The events of jobs that were read before."""
        with closing(self._read(list(jobs))) as reads:
            for job, first in reads:
                read = self._planned[job.rank].read_again(job)[0][1] if isinstance(first, Moved) else first
                self.faults += read.faults
                yield job, read.events

    def _take(self, entry: ArchiveMatch) -> None:
        self.archives += 1
        self.bytes += entry.size
        self.bytes_read += entry.bytes_read
        self.faults += entry.faults

    def explain(self) -> str:
        """What the search cost, in a line."""
        share = 100 * self.bytes_read / self.bytes if self.bytes else 0.0
        return (
            f"read {self.bytes_read:,} of {self.bytes:,} bytes ({share:.3f} %): "
            f"the index of {counted(self.archives, 'archive')}, and {self.batches_read:,} {'batch' if self.batches_read == 1 else 'batches'}"
        )
