"""The parts of a sealed archive as its footer lists them, without reading the batches.

Invariant: the parts are those that `ArchiveReader.parts(frames=False)` gives for an undamaged archive. The checksum of the footer
covers the rows; each row has the checksum of its batch header and of the part before it, so that a missing batch shows as a gap.
"""

from collections.abc import Iterator

from codec import archive as container
from codec.counted import counted
from codec.errors import CodecError, Corrupt
from codec.gap import Gap, GapKind
from codec.parts import checksum_of
from consumer.archive import naming
from consumer.archive.reading.footer_index import footer_span
from consumer.archive.reading.found import Part, Seal, StoredBatch
from consumer.archive.reading.reader import ArchiveReader, missing_reason


def parts_by_footer(archive: ArchiveReader) -> Iterator[Part]:
    """Every part after the head. An archive without a whole footer is read from batch header to batch header. Raises OSError."""
    try:
        parts = [] if naming.parse_open(archive.path) else list(_parts(archive, _seal(archive)))
    except CodecError:
        parts = []
    return iter(parts or archive.parts(frames=False))


def _seal(archive: ArchiveReader) -> Seal:
    """The footer, found from the end of the file. Raises CodecError."""
    start, _ = footer_span(archive)
    archive.source.expect(start, archive.size - start)
    found = archive.part(start, frames=False)
    if not isinstance(found, Seal):
        raise Corrupt("no footer before the seek table")
    return found


def _parts(archive: ArchiveReader, seal: Seal) -> Iterator[Part]:
    """Raises CodecError if the rows are not those of this file."""
    if archive.head_fault is not None:
        raise archive.head_fault
    at, chained, after = len(archive.head_raw), checksum_of(archive.head_raw), 0
    for row in seal.rows:
        header = row.header
        if checksum_of(container.encode_batch_header(header)) != header.check:
            raise Corrupt("a row of the footer is damaged")
        if header.previous != chained:
            yield Gap(at, 0, GapKind.MISSING, missing_reason(after, header))
        yield StoredBatch(at, header)
        at += container.BATCH_HEADER_BYTES + header.compressed
        chained, after = header.check, header.first_event + header.events
    if at != seal.offset:
        raise Corrupt(f"the rows of the footer fill {counted(at, 'byte')}, the footer begins at {seal.offset}")
    yield seal
