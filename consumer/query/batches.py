"""Read the events of one batch that a query accepts. Runs in the process of the search, or in a worker process.

Invariant: a batch that is no longer at its offset is distinguished from a damaged one. The first can be found again; the second is a
fault.
"""

from collections.abc import Container
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from codec import archive as container
from codec.errors import CodecError
from codec.event import Event
from consumer.archive.location import Location
from consumer.archive.reading.fault import ReadFault, batch_fault
from consumer.archive.reading.file_range import WHOLE_BYTES_MAX
from consumer.archive.reading.found import StoredBatch, with_frame
from consumer.archive.reading.object_source import source_at
from consumer.archive.reading.source import Source
from consumer.archive.reading.tombstones import Tombstones
from consumer.objects.errors import Replaced
from consumer.query.query import EventFilter, Query

FETCHED_FIRST = 2  # frames that are fetched from object storage before the first event; soon many more


class BatchRequest(NamedTuple):
    """A batch to read. `archive_index`: index of its archive in the search, ordered by instance and sequence."""

    path: Location
    archive_index: int
    batch: StoredBatch
    tombstones: Tombstones
    query: Query


class BatchEvents(NamedTuple):
    """The accepted events of a batch, each with its number in the archive, and the faults."""

    events: list[tuple[int, Event]]
    faults: tuple[ReadFault, ...] = ()


class MovedBatch(BatchEvents):
    """The batch is no longer at its offset: the file is gone, or it holds another batch there."""

    __slots__ = ()


def read_batch(request: BatchRequest, needed: Container[str] | None = None) -> BatchEvents:
    """Read one batch. If the query's expression times out on an event, the event becomes a fault, and the other events are returned.

    `needed`: the fields of Event that the caller reads; None: all. Fields that the query reads must be among them.
    """
    path, batch = request.path, request.batch
    try:
        with closing(source_at(path)) as source:
            try:
                events = (batch if batch.frame is not None else with_frame(batch, source.read)).events(needed)
            except CodecError as error:
                result = MovedBatch if _is_other(source, batch) else BatchEvents
                return result([], (batch_fault(path, batch, error),))
    except (FileNotFoundError, Replaced) as error:
        return MovedBatch([], (ReadFault.of(path, error),))
    except OSError as error:
        reason = f"batch {batch.header.number}: {ReadFault.of(path, error).reason}"
        return BatchEvents([], (ReadFault(path, batch.offset, reason),))
    faults: list[ReadFault] = []
    accepts = EventFilter(request.query, lambda reason: faults.append(ReadFault(path, None, reason)))
    kept = [pair for pair in request.tombstones.kept(batch.header, events) if accepts(pair[1], "event ", pair[0])]
    return BatchEvents(kept, tuple(faults))


def with_fetched_frame(request: BatchRequest) -> BatchRequest:
    """The request with the bytes of its frame, if they are in object storage and not many. After an error, `read_batch` asks again and reports it."""
    path, batch = request.path, request.batch
    if isinstance(path, Path) or batch.header.compressed > WHOLE_BYTES_MAX:
        return request
    try:
        with closing(source_at(path)) as source:
            return request._replace(batch=with_frame(batch, source.read))
    except OSError:
        return request


def _is_other(source: Source, batch: StoredBatch) -> bool:
    """Whether the file holds other bytes than the header of this batch at its offset."""
    found = source.read(batch.offset, container.BATCH_HEADER_BYTES)
    return found != container.encode_batch_header(batch.header)


def event_numbers(batch: StoredBatch) -> range:
    """The numbers of the events of a batch within its archive."""
    return range(batch.header.first_event, batch.header.first_event + batch.header.events)
