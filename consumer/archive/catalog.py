"""Which archives exist and what each of them may hold, from names and footers; no event is read to know it.

Role: search asks here which batches are worth reading. Invariants: a batch that may hold what is asked for is never left
out; of a sealed archive only the index of its footer is read, and one stretch of filter words a key; an open one, or
one whose end cannot be read, is walked by its batch headers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from codec import archive as container
from codec.errors import CodecError, Corrupt, Truncated
from codec.filter import key_hash, may_hold
from codec.footer import (
    FOOTER_END_BYTES,
    INDEX_START_BYTES,
    FooterIndex,
    decode_footer,
    decode_index,
    footer_bytes,
    index_bytes,
    words_of,
)  # fmt: skip
from codec.parts import check_of
from codec.seektable import SEEK_END_BYTES, seek_table_bytes
from consumer.archive import naming
from consumer.archive.durable import is_held
from consumer.archive.listing import find_archives
from consumer.archive.reader import ArchiveFile, Batch, Gap, open_archive
from consumer.archive.tombstones import Tombstones
from consumer.errors import DeedboxError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the events must be like, as far as footers know: event times in microseconds, both inclusive; keys by kind.

    `types` are globs of which one must fit, and none of `types_not`; of `ids` one; `tags` all.
    """

    since_us: int | None = None
    until_us: int | None = None
    ids: frozenset[str] = frozenset()
    types: tuple[str, ...] = ()
    types_not: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def within(self, first_us: int, last_us: int) -> bool:
        """Whether the span and the wanted time have an instant in common."""
        return (self.since_us is None or last_us >= self.since_us) and (
            self.until_us is None or first_us <= self.until_us
        )

    def is_type(self, kind: str) -> bool:
        """Whether the type is wanted."""
        fits = not self.types or any(fnmatchcase(kind, glob) for glob in self.types)
        return fits and not any(fnmatchcase(kind, glob) for glob in self.types_not)


@dataclass
class Entry:
    """An archive: its batches that may hold what is wanted, and what is wrong with it."""

    path: Path
    id: str
    size: int
    batches: list[Batch]
    tombstones: Tombstones
    faults: list[str] = field(default_factory=list)
    bytes_read: int = 0
    file: tuple[int, int] = (0, 0)  # device and inode


def entries(paths: Sequence[Path], wanted: Wanted, proven: bool = False) -> Iterator[Entry]:
    """The archives below the paths, in order of instance and sequence. What cannot be opened is an entry with a fault.

    `proven`: read each footer whole and believe it only if its checksum holds; for those who must not miss anything.
    """
    seen: set[tuple[int, int]] = set()
    for path in find_archives(list(paths)):
        try:
            entry = look_up(path, wanted, proven)
        except OSError as error:
            entry = Entry(path, path.name, 0, [], Tombstones(), [f"{path}: {error.strerror or error}"])
        except DeedboxError as error:
            entry = Entry(path, path.name, 0, [], Tombstones(), [str(error)])
        if entry.file not in seen:  # sealed between listing and opening, it is there under both its names
            seen.add(entry.file)
            yield entry


def look_up(path: Path, wanted: Wanted, proven: bool = False) -> Entry:
    """What one archive may hold. Raises OSError, and DeedboxError for tombstones that cannot be read."""
    live = path.name.endswith(naming.OPEN_SUFFIX) and path.exists() and is_held(path)
    with open_archive(path) as archive:
        name = str(archive.id or archive.path.name)
        entry = Entry(archive.path, name, archive.size, [], Tombstones.of(archive), file=archive.file)
        try:
            if archive.path.name.endswith(naming.OPEN_SUFFIX):
                raise Corrupt("an open archive has no footer")
            entry.batches = list(_indexed(archive, wanted, proven))
        except CodecError:
            entry.batches = list(_walked(archive, wanted, live, entry.faults))
        entry.bytes_read = archive.bytes_read
        return entry


def _walked(archive: ArchiveFile, wanted: Wanted, live: bool, faults: list[str]) -> Iterator[Batch]:
    if archive.size == 0 and not live:
        faults.append(f"{archive.path}: at 0: empty file")
    for part in archive.parts(frames=False):
        if isinstance(part, Batch) and wanted.within(part.header.first_us, part.header.last_us):
            yield part
        elif isinstance(part, Gap) and not (live and part.harmless):
            faults.append(f"{archive.path}: at {part.offset}: {part.kind}, {part.size} bytes: {part.reason}")


def _indexed(archive: ArchiveFile, wanted: Wanted, proven: bool) -> Iterator[Batch]:
    """Batches by the footer. Raises CodecError."""
    index, words_at = _read_index(archive, proven)
    numbers = {number for number, header in enumerate(index.headers) if wanted.within(header.first_us, header.last_us)}
    for keys in _any_of(index, wanted):
        if numbers:
            held = set[int]().union(*(_holding(archive, index, words_at, key) for key in keys))
            numbers &= held | {number for number, ranks in enumerate(index.ranks) if not ranks}
    at = len(archive.head_raw)
    for number, header in enumerate(index.headers):
        if number in numbers:
            yield Batch(at, header)
        at += container.BATCH_HEADER_BYTES + header.compressed


def _read_index(archive: ArchiveFile, proven: bool) -> tuple[FooterIndex, int]:
    """The index of the footer, and where its filter words begin. Raises CodecError."""
    if archive.size < SEEK_END_BYTES:
        raise Truncated("too short for a seek table")
    end = archive.size - seek_table_bytes(archive.read(archive.size - SEEK_END_BYTES, SEEK_END_BYTES))
    start = end - footer_bytes(archive.read(end - FOOTER_END_BYTES, FOOTER_END_BYTES))
    if not len(archive.head_raw) <= start < end:
        raise Corrupt("no footer before the seek table")
    if proven:
        decode_footer(archive.read(start, end - start))
    size = index_bytes(archive.read(start, INDEX_START_BYTES))
    index = decode_index(archive.read(start, size))
    stored = sum(container.BATCH_HEADER_BYTES + header.compressed for header in index.headers)
    if len(archive.head_raw) + stored != start:
        raise Corrupt("the footer's rows do not fill the archive")
    if any(check_of(container.encode_batch_header(header)) != header.check for header in index.headers):
        raise Corrupt("a row of the footer is damaged")
    return index, start + size


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
    """The types that are wanted by name, if they are known; None if every batch must be looked at."""
    if wanted.types and not any(set(glob) & set("*?[") for glob in wanted.types):
        return [kind for kind in wanted.types if wanted.is_type(kind)]
    if not (wanted.types or wanted.types_not) or not index.footer.names_complete:
        return None
    if any("\\" in kind for kind in index.footer.types):
        return None  # it may stand for a byte that is no UTF-8, and is then not the name itself
    return [kind for kind in index.footer.types if wanted.is_type(kind)]


def _holding(archive: ArchiveFile, index: FooterIndex, words_at: int, key: int) -> Iterator[int]:
    for members, at in index.stretches(key):
        words = words_of(archive.read(words_at + at, 8 * len(members)))
        yield from (number for number, word in zip(members, words, strict=True) if may_hold(word, key))
