"""Count the events of archives by group: `count` counts the archives of one name, in this process or on any worker, and `Counting` all of them.

Invariants: the events that are counted are those that a search finds, and the faults are those that it reports. An archive is read from
one open file, so that sealing and rewriting do not disturb it. Only the counts leave a worker, never an event.
"""

import errno
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

from codec.archive import BATCH_HEADER_BYTES
from codec.errors import CodecError
from codec.event import Event
from consumer.archive.listing import find_archives, size_of
from consumer.archive.location import Location
from consumer.archive.reading.catalog import ArchiveMatch, by_name, entries_at, match_of
from consumer.archive.reading.duplicates import DuplicateMode, Duplicates
from consumer.archive.reading.fault import ReadFault, batch_fault
from consumer.archive.reading.footer_index import read_index
from consumer.archive.reading.reader import ArchiveReader, StoredBatch, open_at
from consumer.query.counts import Counts
from consumer.query.grouping import Grouping
from consumer.query.prefetch import scan_groups
from consumer.query.query import EventFilter, Query

LOOKS_MAX = 4  # an archive can be sealed, compacted and repacked while it is looked up; more changes are a fault


class CountRequest(NamedTuple):
    """Archives to count. `places`: where the archives of one name are; `roots`: where they are looked for if they have moved.

    `by_footer`: the totals of a footer answer the question. `bytes`: the bytes of the bodies are counted too.
    """

    places: tuple[Location, ...]
    roots: tuple[Location, ...]
    query: Query
    grouping: Grouping
    by_footer: bool = False
    bytes: bool = True


@dataclass
class Part:
    """The counts of some archives. `archives`: how many were read, as far as they are whole; `hidden`: how many duplicates were not counted; `size` and `bytes_read`: of the archives."""

    counts: Counts = field(default_factory=Counts)
    faults: list[ReadFault] = field(default_factory=list)
    hidden: int = 0
    archives: int = 0
    size: int = 0
    bytes_read: int = 0

    def merge(self, other: "Part") -> None:
        """Add the counts of other archives. Raises Fatal if there are too many groups."""
        self.counts.merge(other.counts)
        self.faults += other.faults
        self.hidden += other.hidden
        self.archives += other.archives
        self.size += other.size
        self.bytes_read += other.bytes_read

    def duplicates(self, mode: DuplicateMode) -> Duplicates:
        """The duplicates that were hidden, for a report."""
        found = Duplicates(mode)
        found.hidden = self.hidden
        return found


class _Moved(Exception):
    """The archive is not where it was looked up, or it is another one."""


class Counting:
    """All archives below the paths. `executor`: None counts in this process. Raises OSError if a storage cannot be listed."""

    def __init__(self, paths: Sequence[Location], query: Query, grouping: Grouping, bytes: bool = True) -> None:
        by_footer = not bytes and grouping.by_type_only and query == Query(duplicates=DuplicateMode.SHOW)
        groups = by_name(find_archives(paths))
        self.requests = [
            CountRequest(tuple(places), tuple(paths), query, grouping, by_footer, bytes) for _, places in groups
        ]
        self.locations = [place for request in self.requests for place in request.places]
        self.executor: Executor | None = None

    def __iter__(self) -> Iterator[Part]:
        """A part for each name, in order of instance and sequence."""
        with closing(scan_groups(self.executor, count, self.requests, _size)) as parts:
            yield from parts


def _size(request: CountRequest) -> int:
    return sum(map(size_of, request.places))


def count(request: CountRequest) -> Part:
    """The counts of the archives of one name. Raises Fatal if there are too many groups."""
    for _ in range(LOOKS_MAX):
        try:
            return _count_all(request)
        except _Moved as error:
            moved = error
    reason = f"moved or replaced {LOOKS_MAX} times while it was read{f': {moved.__cause__}' if moved.__cause__ else ''}"
    return Part(faults=[ReadFault(request.places[0], None, reason)])


def _count_all(request: CountRequest) -> Part:
    """As `count`. Raises _Moved."""
    part = Part()
    for match in entries_at(request.places, request.roots, request.query.wanted):
        part.merge(_count_archive(match, request))
    return part


def _count_archive(match: ArchiveMatch, request: CountRequest) -> Part:
    """The counts of an archive that was looked up. Raises _Moved."""
    if match.identity is None:
        return Part(faults=match.faults)
    try:
        with open_at(match.path) as archive:
            present = match_of(archive, request.query.wanted, match.tombstones)
            if present.identity != match.identity:
                raise _Moved
            part = Part(faults=present.faults, archives=1, size=archive.size)
            if not (request.by_footer and _count_by_footer(part, archive, present, request.grouping)):
                _count_batches(part, archive, present, request)
            part.bytes_read = archive.bytes_read
            return part
    except OSError as error:
        if _is_gone(error):
            raise _Moved from error
        return Part(faults=[ReadFault.of(match.path, error)])


def _count_by_footer(part: Part, archive: ArchiveReader, match: ArchiveMatch, grouping: Grouping) -> bool:
    """Count by the totals of the footer, whose checksum is verified. Returns False if they do not answer."""
    if match.tombstones.events or match.faults:
        return False
    try:
        index, _ = read_index(archive, verify_filters=True)
    except CodecError:
        return False
    footer = index.footer
    escaped = any("\\" in name for name in footer.types)  # it may stand for a byte that is not text
    if footer.removed or escaped or not footer.names_complete or sum(footer.types.values()) != footer.events:
        return False
    part.counts.add_types(footer.types, grouping)
    return True


def _count_batches(part: Part, archive: ArchiveReader, match: ArchiveMatch, request: CountRequest) -> None:
    accepts = EventFilter(request.query, lambda reason: part.faults.append(ReadFault(match.path, None, reason)))
    duplicates = Duplicates(request.query.duplicates)
    needed = request.query.fields() | request.grouping.event_fields() | ({"body"} if request.bytes else set())
    archive.source.plan((batch.offset + BATCH_HEADER_BYTES, batch.header.compressed) for batch in match.batches)
    for batch in match.batches:
        for number, event in match.tombstones.kept(batch.header, _events(part, archive, batch, needed)):
            if accepts(event, "event ", number) and duplicates.shows(event):
                part.counts.add(request.grouping, event)
    part.hidden = duplicates.hidden


def _events(part: Part, archive: ArchiveReader, batch: StoredBatch, needed: Container[str]) -> list[Event]:
    """The events of a batch. If it cannot be read, it is a fault, and has none."""
    try:
        return archive.with_frame(batch).events(needed)
    except CodecError as error:
        part.faults.append(batch_fault(archive.path, batch, error))
    except OSError as error:
        if _is_gone(error):
            raise
        reason = f"batch {batch.header.number}: {error.strerror or error}"
        part.faults.append(ReadFault(archive.path, batch.offset, reason))
    return []


def _is_gone(error: OSError) -> bool:
    """Whether the archive was moved or removed, or its object was replaced."""
    return error.errno in (errno.ENOENT, errno.ESTALE)
