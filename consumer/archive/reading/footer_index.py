"""The index of a footer, and the filter words of a key, by few reads.

Invariant: a row is used only if the checksum of its batch header is right. The filters are checked only if the whole footer is read.
"""

from collections.abc import Iterator

from codec import archive as container
from codec.errors import Corrupt, Truncated
from codec.filter import may_hold
from codec.footer import (
    FOOTER_END_BYTES,
    INDEX_START_BYTES,
    ROW_BYTES,
    FooterIndex,
    decode_footer,
    decode_index,
    footer_bytes,
    index_bytes,
    words_of,
)  # fmt: skip
from codec.parts import checksum_of
from codec.seektable import SEEK_END_BYTES, batches_in, seek_table_bytes
from consumer.archive.reading.reader import ArchiveReader

# What is read of the end of an object at first: a share of its size within limits. The seek table and the end of the footer are there.
END_SHARE, END_BYTES_MIN, END_BYTES_MAX = 512, 2048, 64 << 10
USUAL_NAMES_BYTES = 1024  # of the totals, types and tags of a footer


def read_index(archive: ArchiveReader, verify_filters: bool) -> tuple[FooterIndex, int]:
    """The index of the footer, and where its filter words begin. Raises CodecError."""
    start, end = footer_span(archive)
    if verify_filters:
        archive.source.expect(start, end - start)
        decode_footer(archive.read(start, end - start))
    archive.source.expect(start, _likely_index_bytes(archive.size - end))
    size = index_bytes(archive.read(start, INDEX_START_BYTES))
    archive.source.expect(start, size)
    index = decode_index(archive.read(start, size))
    stored = sum(container.BATCH_HEADER_BYTES + header.compressed for header in index.headers)
    if len(archive.head_raw) + stored != start:
        raise Corrupt("the footer's rows do not fill the archive")
    if any(checksum_of(container.encode_batch_header(header)) != header.check for header in index.headers):
        raise Corrupt("a row of the footer is damaged")
    return index, start + size


def footer_span(archive: ArchiveReader) -> tuple[int, int]:
    """Where the footer begins and ends. Raises CodecError."""
    if archive.size < SEEK_END_BYTES:
        raise Truncated("too short for a seek table")
    near = min(max(archive.size // END_SHARE, END_BYTES_MIN), END_BYTES_MAX)
    archive.source.expect(archive.size - near, near)
    end = archive.size - seek_table_bytes(archive.read(archive.size - SEEK_END_BYTES, SEEK_END_BYTES))
    start = end - footer_bytes(archive.read(end - FOOTER_END_BYTES, FOOTER_END_BYTES))
    if not len(archive.head_raw) <= start < end:
        raise Corrupt("no footer before the seek table")
    return start, end


def _likely_index_bytes(seek_table: int) -> int:
    """The size of the index of an archive with a seek table of this size, if its types and tags have the usual size."""
    return INDEX_START_BYTES + USUAL_NAMES_BYTES + ROW_BYTES * batches_in(seek_table)


def holding(archive: ArchiveReader, index: FooterIndex, words_at: int, key: int) -> Iterator[int]:
    """The numbers of the batches whose filter may hold a key."""
    for members, at in index.ranges(key):
        archive.source.expect(words_at + at, 8 * len(members))
        words = words_of(archive.read(words_at + at, 8 * len(members)))
        yield from (number for number, word in zip(members, words, strict=True) if may_hold(word, key))
