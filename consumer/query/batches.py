"""Read the events of one batch that a query accepts. Runs where the search runs, or in a worker.

Invariant: a batch that is not where it was planned is told apart from one that is damaged: the first may be found again, and the second
is a fault.
"""

from pathlib import Path
from typing import NamedTuple

from codec import archive as container
from codec.errors import CodecError
from codec.event import Event
from consumer.archive.reading.fault import ReadFault, batch_fault
from consumer.archive.reading.reader import ArchiveFile, StoredBatch
from consumer.archive.reading.tombstones import Tombstones
from consumer.query.query import Judge, Query


class Job(NamedTuple):
    """A batch to read. `rank`: of its archive, in the order of instance and sequence."""

    path: Path
    rank: int
    batch: StoredBatch
    tombstones: Tombstones
    query: Query


class Read(NamedTuple):
    """The accepted events of a batch, with their numbers in the archive, and what could not be read."""

    events: list[tuple[int, Event]]
    faults: tuple[ReadFault, ...] = ()


class Moved(Read):
    """The batch is not where it was: the file is not there any more, or another batch is at the place."""

    __slots__ = ()


def read_batch(job: Job) -> Read:
    """Read one batch. An event on which the query's expression takes too long is a fault of the batch, and ends nothing."""
    path, batch = job.path, job.batch
    try:
        with ArchiveFile(path) as archive:
            try:
                events = archive.with_frame(batch).events()
            except CodecError as error:
                kind = Moved if _is_other(archive, batch) else Read
                return kind([], (batch_fault(path, batch, error),))
    except FileNotFoundError as error:
        return Moved([], (ReadFault.of(path, error),))
    except OSError as error:
        return Read([], (ReadFault(path, batch.offset, f"batch {batch.header.number}: {error.strerror or error}"),))
    faults: list[ReadFault] = []
    accepts = Judge(job.query, lambda reason: faults.append(ReadFault(path, None, reason)))
    kept = [pair for pair in job.tombstones.kept(batch.header, events) if accepts(pair[1], "event ", pair[0])]
    return Read(kept, tuple(faults))


def _is_other(archive: ArchiveFile, batch: StoredBatch) -> bool:
    found = archive.read(batch.offset, container.BATCH_HEADER_BYTES)
    return found != container.encode_batch_header(batch.header)


def numbers_of(batch: StoredBatch) -> range:
    """The numbers of the events of a batch in its archive."""
    return range(batch.header.first_event, batch.header.first_event + batch.header.events)
