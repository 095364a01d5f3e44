"""Read archives, sealed or open, whole or damaged: batches where they are whole, and gaps elsewhere.

Invariants: reading raises no error because of the content of an archive; every byte belongs to the head, a batch, a gap or the footer.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Self, overload

from codec import archive as container
from codec.archive import BatchHeader, Head
from codec.counted import counted
from codec.errors import CodecError, Corrupt, Truncated, UnsupportedVersion
from codec.event import Event
from codec.footer import decode_footer, footer_size, frame_sizes
from codec.gap import Gap, GapKind
from codec.parts import PREFIX, PartKind, checksum_of, part_kind, part_size
from codec.seektable import decode_seek_table, seek_table_size
from consumer.archive import naming
from consumer.archive.listing import find_again
from consumer.archive.location import Location
from consumer.archive.reading.file_range import FileRange, frame_pieces, is_zeros
from consumer.archive.reading.footer_cache import cache_in_use
from consumer.archive.reading.found import Part, Seal, StoredBatch, with_frame
from consumer.archive.reading.object_source import ObjectSource
from consumer.archive.reading.source import FileSource, Source
from consumer.objects.errors import Replaced

_HEAD_BYTES = 1024  # a usual head
_SEARCH_BYTES = 1 << 20

__all__ = ["ArchiveFile", "ArchiveReader", "Part", "Seal", "StoredBatch", "events_or_none", "open_archive", "open_at"]


def missing_reason(after: int, header: BatchHeader) -> str:
    """The reason of a gap without bytes. `after`: the number that the first event of the batch should have."""
    count = header.first_event - after
    if count <= 0:
        return f"the batch before event {header.first_event} is not the one that was written there"
    return f"{counted(count, 'event')} before event {header.first_event}"


class ArchiveReader:
    """An archive that is read from a source. `live`: a process was writing it when it was opened."""

    live = False

    def __init__(self, source: Source) -> None:
        self.source = source
        self.path: Location = source.location
        self.head: Head | None = None
        self.head_raw = b""
        self.head_fault: CodecError | None = None
        self.retry_head()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the source."""
        self.source.close()

    @property
    def size(self) -> int:
        """Bytes of the archive, as of its opening or its last `refresh`."""
        return self.source.size

    def damaged_head(self) -> Gap:
        """The bytes before the first batch of an archive whose head cannot be read."""
        assert self.head_fault is not None, "the head is whole"
        return self._gap(0, self.head_fault, 0)

    def retry_head(self) -> bool:
        """Read the head again if it was not whole before. Returns whether it is whole now."""
        try:
            self._read_head()
        except CodecError as error:
            self.head_fault = error
            return False
        self.head_fault = None
        return True

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`; fewer only at the end. Raises Corrupt for an offset before the archive, and OSError."""
        if offset < 0:
            raise Corrupt(f"{counted(-offset, 'byte')} before the file")
        return self.source.read(offset, size)

    @property
    def bytes_read(self) -> int:
        """The bytes that were read so far."""
        return self.source.bytes_read

    @property
    def id(self) -> naming.ArchiveId | None:
        """Instance and sequence, by the name or else by the head."""
        return naming.parse_sealed(self.path) or naming.parse_open(self.path) or self.head_id

    @property
    def head_id(self) -> naming.ArchiveId | None:
        """Instance and sequence by the head, if it is whole and they are valid."""
        head = self.head
        if head is None or not naming.is_instance(head.instance) or head.sequence < 1:
            return None
        return naming.ArchiveId(head.instance, head.sequence)

    @property
    def identity(self) -> tuple[str, str]:
        """The same for all copies of an archive, and different for different archives: its id and the checksum of its head.

        An archive without a whole head is identified by the name of its source. Device and inode do not serve: a file system gives
        the inode of a removed file to the next one.
        """
        return str(self.id), f"{checksum_of(self.head_raw):016x}" if self.head_raw else str(self.source.location)

    def _read_head(self) -> None:
        if self.size == 0:
            raise Truncated("empty file")
        self.source.expect(0, _HEAD_BYTES)
        size = min(part_size(self.read(0, 16)), container.HEAD_BYTES_MAX)
        self.source.expect(0, size)
        raw = self.read(0, size)
        self.head = container.decode_head(raw)
        self.head_raw = raw

    def parts(self, frames: bool = True) -> Iterator[Part]:
        """Everything after the head, in order. With `frames`, each frame is read and compared with its checksum."""
        if self.size == 0:
            return
        at, chained, after = len(self.head_raw), checksum_of(self.head_raw) if self.head_raw else None, 0
        if self.head_fault is not None:
            gap = self.damaged_head()
            yield gap
            at = gap.size
        if frames:
            self.source.plan([(at, self.size - at)])
        while at < self.size:
            part = self.part(at, frames)
            if isinstance(part, StoredBatch):
                if chained is not None and part.header.previous != chained:
                    yield Gap(at, 0, GapKind.MISSING, missing_reason(after, part.header))
                chained, after = part.header.check, part.header.first_event + part.header.events
            yield part
            if isinstance(part, Seal):
                return
            at += part.size
            chained = chained if isinstance(part, StoredBatch) else None

    def part(self, at: int, frames: bool = True) -> Part:
        """The part at this offset, at which another part ends."""
        try:
            raw = self.read(at, container.BATCH_HEADER_BYTES)
            if raw[:16] != container.BATCH_PREFIX:
                return self._seal(at, raw)
            header = container.decode_batch_header(raw)
            return self._batch(at, header, frames)
        except CodecError as error:
            return self._gap(at, error, at + 1)

    def _batch(self, at: int, header: BatchHeader, frames: bool) -> StoredBatch:
        start = at + container.BATCH_HEADER_BYTES
        if start + header.compressed > self.size:
            raise Truncated(f"frame of {counted(header.compressed, 'byte')}, {self.size - start} left")
        if not frames:
            return StoredBatch(at, header)
        frame = frame_pieces(self.read, start, header.compressed)
        container.check_frame(frame, header)
        return StoredBatch(at, header, frame)

    def _seal(self, at: int, raw: bytes) -> Seal:
        size = footer_size(raw)
        if at + size > self.size:
            raise Truncated(f"footer of {counted(size, 'byte')}, {self.size - at} left")
        footer, rows = decode_footer(self.read(at, size))
        frames = frame_sizes(len(self.head_raw), ((row.header.compressed, row.header.raw) for row in rows), size)
        after, expected = self.size - at - size, seek_table_size(len(frames))
        if after > expected or decode_seek_table(self.read(at + size, after)) != frames:
            raise Corrupt(
                f"seek table of {counted(after, 'byte')} that does not fit the frames, one of {expected} expected"
            )
        return Seal(at, footer, rows)

    def with_frame(self, batch: StoredBatch) -> StoredBatch:
        """The batch with its frame, for a batch that was read without it."""
        return with_frame(batch, self.read)

    def _gap(self, at: int, fault: CodecError, search_from: int) -> Gap:
        """The bytes between `at` and the next part that can be read. If there is no such part, the rest of the file is torn."""
        after = self._next_part(search_from)
        if isinstance(fault, UnsupportedVersion):
            return Gap(at, (after or self.size) - at, GapKind.NEWER, fault.reason)
        if after is not None:
            return Gap(at, after - at, GapKind.DAMAGED, fault.reason)
        if part_kind(self.read(at, PREFIX.size)) == PartKind.FOOTER:  # written only after the last batch
            return Gap(
                at, self.size - at, GapKind.TORN, f"the end, after the last event: {fault.reason}", harmless=True
            )
        if self._all_zeros(at):
            return Gap(at, self.size - at, GapKind.TORN, "nothing but zeros", harmless=True)
        return Gap(at, self.size - at, GapKind.TORN, fault.reason, harmless=isinstance(fault, Truncated))

    def _all_zeros(self, at: int) -> bool:
        return all(map(is_zeros, FileRange(self.read, at, self.size - at)))

    def _next_part(self, at: int) -> int | None:
        """The offset of the next whole batch header or footer, from `at` on."""
        while at < self.size:
            block = self.read(at, _SEARCH_BYTES + container.BATCH_HEADER_BYTES)
            found = block.find(container.BATCH_PREFIX[:4])
            if found < 0 or found >= _SEARCH_BYTES:
                at += _SEARCH_BYTES
                continue
            at += found
            if self._begins_part(at):
                return at
            at += 1
        return None

    def _begins_part(self, at: int) -> bool:
        raw = self.read(at, container.BATCH_HEADER_BYTES)
        try:
            if raw[:16] == container.BATCH_PREFIX:
                container.decode_batch_header(raw)
            else:
                self._seal(at, raw)
        except CodecError:
            return False
        return True


class ArchiveFile(ArchiveReader):
    """An archive in a local file. Bytes that are appended later are found after `refresh`. Raises OSError."""

    path: Path

    def __init__(self, path: Path) -> None:
        self._file = FileSource(path)
        try:
            super().__init__(self._file)
        except OSError:
            self._file.close()
            raise
        self.file, self.live = self._file.file, self._file.live

    def refresh(self) -> None:
        """Find the bytes that were appended since."""
        self._file.refresh()


def events_or_none(archive: ArchiveReader, batch: StoredBatch) -> list[Event]:
    """The events of a batch that was read without its frame; no events if it cannot be read."""
    try:
        return archive.with_frame(batch).events()
    except CodecError:
        return []


@overload
def open_at(location: Path, cached: bool = False) -> ArchiveFile: ...


@overload
def open_at(location: Location, cached: bool = False) -> ArchiveReader: ...


def open_at(location: Location, cached: bool = False) -> ArchiveReader:
    """Open the archive at exactly this location: a file, or an object. `cached`: the footer cache may answer. Raises OSError."""
    if isinstance(location, Path):
        return ArchiveFile(location)
    cache = cache_in_use() if cached else None
    try:
        return ArchiveReader(ObjectSource(location, cache=cache))
    except Replaced:  # since it was listed
        return ArchiveReader(ObjectSource(location.listed_as(None), cache=cache))


@overload
def open_archive(path: Path) -> ArchiveFile: ...


@overload
def open_archive(path: Location) -> ArchiveReader: ...


def open_archive(path: Location) -> ArchiveReader:
    """Open an archive. If a file was sealed since it was found, it is opened under its new name. Raises OSError."""
    if not isinstance(path, Path):
        return open_at(path)
    try:
        return ArchiveFile(path)
    except FileNotFoundError:
        sealed = find_again(path) if naming.parse_open(path) else []
        if not sealed:
            raise
        return ArchiveFile(sealed[0])
