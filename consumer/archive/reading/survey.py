"""A survey: all parts of one archive file, read from its beginning to its end. Recovery and repair decide by it.

Invariant: a survey changes nothing, and raises no error because of the content of a file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codec import archive as container
from codec.errors import CodecError
from codec.footer import Footer, IndexRow, decode_footer
from codec.gap import Gap, GapKind
from codec.parts import PREFIX, PartKind, part_kind, part_size
from consumer.archive import naming
from consumer.archive.location import Location
from consumer.archive.reading.reader import ArchiveFile, ArchiveReader, Seal, StoredBatch, open_at


@dataclass(frozen=True, slots=True)
class Survey:
    """The parts of a file. `footer`: the footer, also if the seek table after it is damaged; `counted`: how many events it indexes.

    `rows`: the index of the footer; `footer_at`: the offset of the footer; `footer_begun`: a footer, whole or not, follows the batches.
    `file`: device and inode; zeros if it is no local file.
    """

    location: Location
    size: int
    id: naming.ArchiveId | None
    head_raw: bytes
    batches: list[StoredBatch]
    gaps: list[Gap]
    seal: Seal | None
    file: tuple[int, int]
    footer: Footer | None = None
    counted: int | None = None
    footer_begun: bool = False
    rows: Sequence[IndexRow] = ()
    footer_at: int = 0

    @property
    def path(self) -> Path:
        """Where a local file is. Recovery and repair change local files only."""
        assert isinstance(self.location, Path), self.location
        return self.location

    @property
    def events(self) -> int:
        """Events in whole batches."""
        return sum(batch.header.events for batch in self.batches)

    @property
    def end(self) -> int:
        """The number after that of the last event. The archive held this number of events, unless some are missing at its end."""
        return max((batch.header.first_event + batch.header.events for batch in self.batches), default=0)

    @property
    def whole(self) -> bool:
        """Whether it is a sealed archive with all batches that its footer indexes."""
        if self.seal is None or self.damaged or any(gap.size for gap in self.gaps):
            return False
        return [row.header for row in self.seal.rows] == [batch.header for batch in self.batches]

    @property
    def torn(self) -> Gap | None:
        """The gap at the end, if there is one."""
        return self.gaps[-1] if self.gaps and self.gaps[-1].kind is GapKind.TORN else None

    @property
    def damaged(self) -> bool:
        """Whether the head or bytes in the middle are damaged, so that the file must be rebuilt."""
        return any(gap.kind is GapKind.DAMAGED for gap in self.gaps) or not self.head_raw


def survey(path: Location, committed: int | None = None) -> Survey:
    """Read a file to its end. `committed`: the number of bytes that a sync has covered; the file is read as if it ended there. Raises OSError."""
    batches: list[StoredBatch] = []
    gaps: list[Gap] = []
    seal = None
    with open_at(path) as archive:
        for part in archive.parts():
            if committed is not None and part.offset >= committed:
                gaps.append(
                    Gap(
                        part.offset,
                        archive.size - part.offset,
                        GapKind.TORN,
                        "written, but never synced",
                        harmless=True,
                    )
                )
                break
            if isinstance(part, Seal):
                seal = part
            elif isinstance(part, Gap):
                gaps.append(part)
            else:
                batches.append(StoredBatch(part.offset, part.header))
        end = (seal.footer, seal.rows) if seal else _end_of(archive, gaps[-1].offset) if gaps else None
        footer, rows = end or (None, [])
        counted = max((row.header.first_event + row.header.events for row in rows), default=None)
        begun = bool(gaps) and part_kind(archive.read(gaps[-1].offset, PREFIX.size)) == PartKind.FOOTER
        file = archive.file if isinstance(archive, ArchiveFile) else (0, 0)
        return Survey(
            path, archive.size, archive.id, archive.head_raw, batches, gaps, seal, file, footer, counted, begun,
            rows, seal.offset if seal else gaps[-1].offset if gaps else archive.size,
        )  # fmt: skip


def with_indexed(found: Survey) -> Survey:
    """The survey with the batches whose header is damaged and whose frame is whole: the index of the footer has a copy of each header.

    Gaps that consist of such batches are left out. Raises OSError.
    """
    known = {batch.offset for batch in found.batches}
    at = found.footer_at - sum(container.BATCH_HEADER_BYTES + row.header.compressed for row in found.rows)
    restored = []
    with open_at(found.location) as archive:
        for row in found.rows:
            batch = StoredBatch(at, row.header)
            if at not in known and _is_whole(archive, batch):
                restored.append(batch)
            at += batch.size
    gaps = [
        gap
        for gap in found.gaps
        if not gap.size or gap.size != sum(one.size for one in restored if _is_within(one, gap))
    ]
    batches = sorted([*found.batches, *restored], key=lambda batch: batch.offset)
    return replace(found, batches=batches, gaps=gaps)


def _is_whole(archive: ArchiveReader, batch: StoredBatch) -> bool:
    try:
        return bool(archive.with_frame(batch).events())
    except CodecError:
        return False


def _is_within(batch: StoredBatch, gap: Gap) -> bool:
    return gap.offset <= batch.offset and batch.offset + batch.size <= gap.offset + gap.size


def _end_of(archive: ArchiveReader, at: int) -> tuple[Footer, list[IndexRow]] | None:
    """The footer at this offset, if it is whole, whatever follows it."""
    try:
        return decode_footer(archive.read(at, part_size(archive.read(at, PREFIX.size))))
    except CodecError:
        return None
