"""Find events in archives, sealed and open, merged by time across files and instances.

Role: the catalog says which batches may hold what is looked for; they are read in the order of their spans, and an event is
given out when no batch that is left can hold an earlier one. Invariants: memory holds the events of batches whose spans overlap, and
no more; damage in one archive costs its own events, is named once, and ends nothing; ingest is never locked out.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from codec.errors import CodecError, Corrupt
from codec.event import Event
from consumer.archive.catalog import Entry, entries
from consumer.archive.reader import ArchiveFile, Batch, open_archive
from consumer.archive.tombstones import Tombstones
from consumer.query.prefetch import scan
from consumer.query.query import Query

READ_AHEAD = 8  # batches that are decoded ahead of the reader, with an executor
_CHUNK = 256


class Found(NamedTuple):
    """An event and the text form of its position: `a1-00000007:41`."""

    event: Event
    position: str


class _Job(NamedTuple):
    """A batch to read, for whoever reads it."""

    path: Path
    archive: str
    rank: int  # of the archive, by instance and sequence
    batch: Batch
    tombstones: Tombstones
    query: Query


class _Read(NamedTuple):
    """The events of a batch with their numbers in the archive; or the fault of the batch."""

    events: list[tuple[int, Event]]
    fault: str | None


def read_batch(job: _Job) -> _Read:
    """The events of a batch that the query accepts. Runs in a worker, if there is one."""
    return read_events(job.path, job.batch, job.tombstones, job.query)


def read_events(path: Path, batch: Batch, tombstones: Tombstones, query: Query) -> _Read:
    """The same of any batch; its frame is read here."""
    try:
        events = _events(path, batch)
    except (CodecError, OSError) as error:
        return _Read([], f"{path}: at {batch.offset}: batch {batch.header.number}: {error}")
    return _Read([pair for pair in tombstones.kept(batch.header, events) if query.accepts(pair[1])], None)


def _events(path: Path, batch: Batch) -> list[Event]:
    """The events of a batch. If the archive was rewritten after the look-up, they are read from where they are now."""
    with open_archive(path) as archive:
        try:
            return archive.with_frame(batch).events()
        except CodecError:
            moved = [part for part in archive.parts(frames=False) if isinstance(part, Batch) and _overlap(part, batch)]
            if batch in moved or sum(part.header.events for part in moved) < batch.header.events:
                raise
            return _slice(archive, moved, batch)


def _overlap(one: Batch, other: Batch) -> bool:
    """Whether two batches have event numbers in common."""
    first, after = other.header.first_event, other.header.first_event + other.header.events
    return one.header.first_event < after and first < one.header.first_event + one.header.events


def _slice(archive: ArchiveFile, moved: Sequence[Batch], batch: Batch) -> list[Event]:
    """The events that `batch` had, from the batches that hold them now. Raises Corrupt if some are not there."""
    first = batch.header.first_event
    found = {
        number: event
        for part in moved
        for number, event in enumerate(archive.with_frame(part).events(), part.header.first_event)
    }
    try:
        return [found[number] for number in range(first, first + batch.header.events)]
    except KeyError as error:
        raise Corrupt(f"event {error} is missing") from error


class Search:
    """One search. Iterate once; afterwards `faults` names what could not be read, and the counts say what it cost."""

    def __init__(
        self,
        paths: Sequence[Path],
        query: Query,
        descending: bool = False,
        executor: Executor | None = None,
        proven: bool = False,
    ) -> None:
        self.faults: list[str] = []
        self.archives = self.batches_read = self.bytes_read = self.bytes = 0
        self.executor = executor
        self._paths, self._query, self._descending, self._proven = paths, query, descending, proven
        self._jobs: list[_Job] | None = None

    def plan(self) -> int:
        """Look into the indexes; says how many bytes of batches are to be read. The iteration does it otherwise."""
        if self._jobs is None:
            self._jobs = self._look_up()
        return sum(job.batch.size for job in self._jobs)

    def __iter__(self) -> Iterator[Found]:
        self.plan()
        jobs = self._jobs or []
        reads = scan(self.executor, read_batch, jobs, READ_AHEAD)
        heap: list[tuple[tuple[int, int, int], Found]] = []
        sign = -1 if self._descending else 1
        for job, read in zip(jobs, reads, strict=True):
            while heap and heap[0][0][0] < sign * self._edge(job):
                yield heapq.heappop(heap)[1]
            self._count(job, read)
            for number, event in read.events:
                key = (sign * event.time_us, sign * job.rank, sign * number)
                heapq.heappush(heap, (key, Found(event, f"{job.archive}:{number}")))
        while heap:
            yield heapq.heappop(heap)[1]

    def _look_up(self) -> list[_Job]:
        """What may hold something, in the order in which it can be given out."""
        jobs = []
        for rank, entry in enumerate(entries(self._paths, self._query.wanted, self._proven)):
            self._take(entry)
            jobs += [_Job(entry.path, entry.id, rank, batch, entry.tombstones, self._query) for batch in entry.batches]
        return sorted(jobs, key=self._edge, reverse=self._descending)

    def _edge(self, job: _Job) -> int:
        """Where a batch begins, seen from the side from which the search comes."""
        return job.batch.header.last_us if self._descending else job.batch.header.first_us

    def _take(self, entry: Entry) -> None:
        self.archives += 1
        self.bytes += entry.size
        self.bytes_read += entry.bytes_read
        self.faults += entry.faults

    def _count(self, job: _Job, read: _Read) -> None:
        self.batches_read += 1
        self.bytes_read += job.batch.size
        if read.fault:
            self.faults.append(read.fault)

    def explain(self) -> str:
        """What the search cost, in a line."""
        share = 100 * self.bytes_read / self.bytes if self.bytes else 0.0
        return (
            f"read {self.bytes_read:,} of {self.bytes:,} bytes ({share:.3f} %): "
            f"the indexes of {self.archives:,} archives and {self.batches_read:,} batches"
        )


def search(
    paths: Sequence[Path], query: Query | None = None, descending: bool = False, limit: int | None = None,
    executor: Executor | None = None,
) -> Iterator[Found]:  # fmt: skip
    """Events by time. Raises ExceptionGroup of OSError at the end if something could not be read: what was whole came before."""
    found = Search(paths, query or Query(), descending, executor)
    yield from islice(found, limit)
    if found.faults:
        raise ExceptionGroup("not everything could be read", [OSError(fault) for fault in found.faults])


async def search_async(
    paths: Sequence[Path], query: Query | None = None, descending: bool = False, limit: int | None = None,
    executor: Executor | None = None,
) -> AsyncIterator[Found]:  # fmt: skip
    """The same from an event loop, which is never held up: reading happens in a thread."""
    found = search(paths, query, descending, limit, executor)
    while True:
        chunk, fault = await asyncio.to_thread(_chunk, found)
        for one in chunk:
            yield one
        if fault is not None:
            raise fault
        if not chunk:
            return


def _chunk(found: Iterator[Found]) -> tuple[list[Found], Exception | None]:
    """The next events, and what ended them: what is whole comes before."""
    chunk: list[Found] = []
    try:
        for one in islice(found, _CHUNK):
            chunk.append(one)  # noqa: PERF402 -- what came before an exception is kept
    except Exception as fault:  # noqa: BLE001 -- raised again by the caller
        return chunk, fault
    return chunk, None
