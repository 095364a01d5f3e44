"""Which archives exist, and which of their batches may hold wanted events, from names and footers. No event is read.

Role: search asks the catalog which batches it must read. Invariants: a batch that may hold a wanted event is never left
out. Of a sealed archive, only the index of the footer and one range of filter words per key are read. An open archive, and
one whose footer cannot be read, is read from batch header to batch header.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from codec import archive as container
from codec.errors import CodecError, Corrupt
from codec.filter import key_hash
from codec.footer import FooterIndex
from codec.gap import Gap
from consumer.archive import naming
from consumer.archive.listing import find_again, find_archives, id_of
from consumer.archive.location import Location
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.footer_index import holding, read_index
from consumer.archive.reading.in_threads import in_threads
from consumer.archive.reading.reader import ArchiveReader, StoredBatch, open_archive, open_at
from consumer.archive.reading.tombstones import Tombstones
from consumer.errors import DeedboxError
from consumer.objects.errors import Replaced
from consumer.objects.url import ObjectUrl

LOOKED_UP_AHEAD = 32  # archives in object storage whose match is known and waits, or is being looked up


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions on events that an index can check. Event times and arrivals are in microseconds, and inclusive.

    `types` and `types_not` are globs: one of `types` must match, and none of `types_not`. The id must be one of `ids`, and all `tags`
    must be there. `archive`: events of this archive only.
    """

    since_us: int | None = None
    until_us: int | None = None
    ids: frozenset[str] = frozenset()
    types: tuple[str, ...] = ()
    types_not: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    arrived_since_us: int | None = None
    arrived_until_us: int | None = None
    archive: naming.ArchiveId | None = None

    def spans(self, header: container.BatchHeader) -> bool:
        """Whether a batch may hold events with a wanted time and arrival."""
        return self.within(header.first_us, header.last_us) and self.arrived(
            header.first_arrived_us, header.last_arrived_us
        )

    def arrived(self, first_us: int, last_us: int) -> bool:
        """Whether the span of arrivals overlaps the wanted arrivals."""
        return (self.arrived_since_us is None or last_us >= self.arrived_since_us) and (
            self.arrived_until_us is None or first_us <= self.arrived_until_us
        )

    def within(self, first_us: int, last_us: int) -> bool:
        """Whether the span of event times overlaps the wanted times."""
        return (self.since_us is None or last_us >= self.since_us) and (
            self.until_us is None or first_us <= self.until_us
        )

    def is_type(self, kind: str) -> bool:
        """Whether the type is wanted."""
        fits = not self.types or any(fnmatchcase(kind, glob) for glob in self.types)
        return fits and not any(fnmatchcase(kind, glob) for glob in self.types_not)


@dataclass
class ArchiveMatch:
    """An archive, its batches that may hold wanted events, and its faults.

    `identity` is None if the archive could not be opened. `events`: how many events its whole batches hold, wanted or not.
    """

    path: Location
    id: str
    size: int
    batches: list[StoredBatch]
    tombstones: Tombstones
    faults: list[ReadFault] = field(default_factory=list)
    bytes_read: int = 0
    identity: tuple[str, str] | None = None
    events: int = 0


def entries(paths: Sequence[Location], wanted: Wanted, verify_filters: bool = False) -> Iterator[ArchiveMatch]:
    """The archives below the paths, in order of instance and sequence. An archive that cannot be opened is a match with a fault.

    Of several copies of one archive, the copy with the most events is used; an event is deleted if it is deleted in one of the copies.
    Different archives with the same name are all used.
    `verify_filters`: read each footer whole and use it only if its checksum is right, so that a damaged filter hides no event.
    """
    yield from map(_best, copies_of(paths, wanted, verify_filters))


def entries_at(places: Sequence[Location], roots: Sequence[Location], wanted: Wanted) -> list[ArchiveMatch]:
    """As `entries`, for the archives of one name, which are or were at `places` below `roots`."""
    return list(map(_best, matches_of(places, roots, wanted)))


def _best(copies: Sequence[ArchiveMatch]) -> ArchiveMatch:
    """The copy to read. An event is deleted if it is deleted in one of the copies."""
    best = max(copies, key=_preference)
    deleted = [entry.tombstones for entry in copies]
    return replace(best, tombstones=Tombstones.union(deleted)) if len(copies) > 1 else best


def _preference(entry: ArchiveMatch) -> tuple[int, bool]:
    """Of several copies, the one with the most events is used; of equal ones a local one. The first of the best: sealed names come before open ones."""
    return entry.events, isinstance(entry.path, Path)


def copies_of(paths: Sequence[Location], wanted: Wanted, verify_filters: bool = False) -> Iterator[list[ArchiveMatch]]:
    """As `entries`, with all copies of each archive, at least one."""
    groups = (
        places
        for name, places in by_name(find_archives(paths))
        if wanted.archive is None or name in (wanted.archive, *places)
    )
    look_up = partial(matches_of, roots=paths, wanted=wanted, verify_filters=verify_filters)
    # An index in object storage costs several requests: the indexes of many archives are read at the same time.
    remote = any(isinstance(path, ObjectUrl) for path in paths)
    for found in in_threads(look_up, groups, LOOKED_UP_AHEAD) if remote else map(look_up, groups):
        yield from found


def matches_of(
    places: Sequence[Location], roots: Sequence[Location], wanted: Wanted, verify_filters: bool = False
) -> list[list[ArchiveMatch]]:
    """The matches of archives with one name: the copies of one archive in one list. `roots`: where to look for an archive that was moved."""
    found: dict[object, list[ArchiveMatch]] = {}
    for entry in _look_up_all(places, roots, wanted, verify_filters):
        found.setdefault(entry.identity or entry.faults[0], []).append(entry)
    return list(found.values())


def by_name(paths: Sequence[Location]) -> list[tuple[object, list[Location]]]:
    """Paths by the id of their archive, or by the path for a file without one. A file that was named itself may have any name; then its head has the id."""
    found: dict[object, list[Location]] = {}
    for path in paths:
        found.setdefault(id_of(path) or _id_by_head(path) or path, []).append(path)
    return list(found.items())


def _id_by_head(path: Location) -> naming.ArchiveId | None:
    try:
        with open_archive(path) as archive:
            return archive.id
    except OSError:
        return None  # `look_up` reports the reason


def _look_up_all(
    places: Sequence[Location], roots: Sequence[Location], wanted: Wanted, verify_filters: bool
) -> Iterator[ArchiveMatch]:
    """A match for each path. If a path is gone, the paths where its archive may be now are tried."""
    waiting, seen = list(places), set(places)
    for path in waiting:
        try:
            yield look_at(path, wanted, verify_filters)
        except FileNotFoundError as error:
            fresh = [other for other in find_again(path, roots) if other not in seen]
            waiting += fresh
            seen.update(fresh)
            if not fresh and not _was_sealed(path):
                yield unread(path, error)
        except (OSError, DeedboxError) as error:
            yield unread(path, error)


def _was_sealed(path: Location) -> bool:
    """Whether an open archive is gone because it was sealed. If a sealed archive is gone, a copy elsewhere proves nothing."""
    return naming.parse_open(path) is not None and any(naming.parse_sealed(other) for other in find_again(path))


def unread(path: Location, error: Exception) -> ArchiveMatch:
    """The match of an archive that cannot be opened."""
    return ArchiveMatch(path, path.name, 0, [], Tombstones(), [ReadFault.of(path, error)])


def look_up(path: Location, wanted: Wanted, verify_filters: bool = False) -> ArchiveMatch:
    """The match of one archive. Raises OSError, and DeedboxError if the tombstones cannot be read."""
    if isinstance(path, ObjectUrl):
        return look_at(path, wanted, verify_filters)
    with open_archive(path) as archive:
        return match_of(archive, wanted, Tombstones.of(archive), verify_filters)


def look_at(path: Location, wanted: Wanted, verify_filters: bool = False) -> ArchiveMatch:
    """As `look_up`, of the file at this path only, also if it is an open archive that was sealed since."""
    try:
        with open_at(path, cached=True) as archive:
            return match_of(archive, wanted, Tombstones.of(archive), verify_filters)
    except Replaced:
        if not isinstance(path, ObjectUrl) or path.listed is None:
            raise
        return look_at(path.listed_as(None), wanted, verify_filters)


def match_of(
    archive: ArchiveReader, wanted: Wanted, tombstones: Tombstones, verify_filters: bool = False
) -> ArchiveMatch:
    """The match of an archive that is open for reading, whatever its source is. `tombstones`: its deleted events. Raises OSError."""
    name = str(archive.id or archive.path.name)
    entry = ArchiveMatch(archive.path, name, archive.size, [], tombstones, identity=archive.identity)
    _find_batches(entry, archive, wanted, verify_filters)
    entry.bytes_read = archive.bytes_read
    return entry


def all_batches(archive: ArchiveReader) -> list[StoredBatch]:
    """Every batch that can be found, without its frame."""
    entry = ArchiveMatch(archive.path, "", archive.size, [], Tombstones())
    _find_batches(entry, archive, Wanted(), verify_filters=False)
    return entry.batches


def _find_batches(entry: ArchiveMatch, archive: ArchiveReader, wanted: Wanted, verify_filters: bool) -> None:
    """Find the batches by the footer if there is one, otherwise from header to header."""
    try:
        if naming.parse_open(archive.path):
            raise Corrupt("an open archive has no footer")
        _find_by_footer(entry, archive, wanted, verify_filters)
    except CodecError:
        entry.batches = []
        _find_by_headers(entry, archive, wanted)


def _find_by_headers(entry: ArchiveMatch, archive: ArchiveReader, wanted: Wanted) -> None:
    if archive.size == 0 and not archive.live:
        entry.faults.append(ReadFault(archive.path, 0, "empty file"))
    for part in archive.parts(frames=False):
        if isinstance(part, StoredBatch):
            entry.events += part.header.events
            if wanted.spans(part.header):
                entry.batches.append(part)
        elif isinstance(part, Gap) and not (archive.live and part.harmless):
            entry.faults.append(ReadFault(archive.path, part.offset, str(part)))


def _find_by_footer(entry: ArchiveMatch, archive: ArchiveReader, wanted: Wanted, verify_filters: bool) -> None:
    """Find the batches by the footer. Raises CodecError."""
    index, words_at = read_index(archive, verify_filters)
    numbers = {number for number, header in enumerate(index.headers) if wanted.spans(header)}
    for keys in _any_of(index, wanted):
        if numbers:
            held = set[int]().union(*(holding(archive, index, words_at, key) for key in keys))
            numbers &= held | {number for number, words in enumerate(index.filter_sizes) if not words}
    at = len(archive.head_raw)
    for number, header in enumerate(index.headers):
        if number in numbers:
            entry.batches.append(StoredBatch(at, header))
        at += container.BATCH_HEADER_BYTES + header.compressed
    entry.events = sum(header.events for header in index.headers)


def _any_of(index: FooterIndex, wanted: Wanted) -> Iterator[list[int]]:
    """Groups of keys: a batch is wanted only if it holds one key of each group."""
    if wanted.ids:
        yield [key_hash("id", name) for name in wanted.ids]
    if kinds := _types(index, wanted):
        yield [key_hash("type", name) for name in kinds]
    elif kinds is not None:
        yield []
    for tag in wanted.tags:
        yield [key_hash("tag", tag)]


def _types(index: FooterIndex, wanted: Wanted) -> list[str] | None:
    """The names of the wanted types, if they are known; None if every batch must be read."""
    if wanted.types and not any(set(glob) & set("*?[") for glob in wanted.types):
        return [kind for kind in wanted.types if wanted.is_type(kind)]
    if not (wanted.types or wanted.types_not) or not index.footer.names_complete:
        return None
    if any("\\" in kind for kind in index.footer.types):
        return None  # it may be the escape of a byte that is not UTF-8, so that the name is not known
    return [kind for kind in index.footer.types if wanted.is_type(kind)]
