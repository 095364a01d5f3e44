"""The footer of a sealed archive: totals, one row per batch, and filters that show which batches need not be read.

Invariants: the words of one index of all filters of one size are stored together, so that looking up a key reads one
range of words, whatever the number of batches. The footer ends with its own size, so that a reader finds it from the end of the file.
Source: FORMAT.md.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import msgspec
import orjson

from codec.archive import BATCH_HEADER_BYTES, BatchHeader
from codec.counted import counted
from codec.errors import Corrupt, TooLarge, Truncated
from codec.filter import word_index
from codec.gap import Gap
from codec.limits import FILTER_WORDS_MAX, FOOTER_BYTES_MAX, FOOTER_JSON_MAX, GAPS_MAX, ROWS_MAX
from codec.parts import CHECK, PREFIX, PartKind, encode_part, parse_json, part_body, part_size


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A batch in the index of the footer. Its offset is the sum of the sizes before it. `words`: its filter."""

    header: BatchHeader
    words: Sequence[int]


@dataclass(frozen=True, slots=True)
class Footer:
    """Totals of a sealed archive. `types` and `tags` count events by name; they are complete if `names_complete` is true."""

    batches: int
    events: int
    records: int
    raw: int
    last_check: int
    types: dict[str, int]
    tags: dict[str, int]
    names_complete: bool = True
    gaps: list[Gap] = field(default_factory=list)
    rewritten_from: str | None = None  # SHA-256 of the original file
    removed: int = 0  # events whose content `compact` removed


_ROW = struct.Struct("<IIIIIIIIqqqqQQQ")
_FOOTER_COUNTS = struct.Struct("<II")
_FOOTER_END = struct.Struct("<I")


def encode_row(header: BatchHeader, words: bytes) -> bytes:
    """The row of a batch in the index: 88 bytes. `words`: the words of its filter."""
    return _ROW.pack(
        header.number, header.records, header.events, header.compressed, header.raw, len(words) // 8,
        header.first_event, 0,
        header.first_us, header.last_us, header.first_arrived_us, header.last_arrived_us,
        header.frame_check, header.previous, header.check,
    )  # fmt: skip


def row_sizes(row: bytes) -> tuple[int, int]:
    """Compressed and decompressed size of the frame of a row."""
    _number, _records, _events, compressed, raw = struct.unpack_from("<5I", row)
    return compressed, raw


def frame_sizes(head: int, batches: Iterable[tuple[int, int]], footer: int) -> list[tuple[int, int]]:
    """Compressed and decompressed size of every frame of an archive, for its seek table. Only record frames decompress to bytes."""
    frames = [(head, 0)]
    for sizes in batches:
        frames += [(BATCH_HEADER_BYTES, 0), sizes]
    return [*frames, (footer, 0)]


def encode_footer(footer: Footer, rows: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """JSON totals, one row per batch, then the filter words: the filters of one size together, word index by word index.

    Raises TooLarge for a footer that `decode_footer` refuses.
    """
    members = asdict(footer)
    if not footer.removed:
        del members["removed"]  # stored only if events were removed
    members["gaps"] = list(map(_stored, footer.gaps))
    totals = orjson.dumps(members)
    _check_counts(len(totals), len(rows))
    parts = [_FOOTER_COUNTS.pack(len(totals), len(rows)), totals, *rows]
    for size in sorted(set(map(len, words))):
        matrix = _words(b"".join(one for one in words if len(one) == size))
        parts += [_words(matrix[index :: size // 8].tobytes()).tobytes() for index in range(size // 8)]
    size = sum(map(len, parts)) + PREFIX.size + _FOOTER_END.size + CHECK.size
    check_footer_size(size)
    # The size is repeated at the end, so that a reader that starts at the end of the file finds the beginning of the footer.
    return encode_part(PartKind.FOOTER, b"".join([*parts, _FOOTER_END.pack(size)]))


def footer_size(start: bytes) -> int:
    """The whole size of the footer that begins with these 16 bytes. Raises CodecError."""
    size = part_size(start)
    check_footer_size(size)
    return size


def check_footer_size(size: int) -> None:
    """Raises TooLarge for a footer that is larger than readers accept."""
    if size > FOOTER_BYTES_MAX:
        raise TooLarge(f"footer of {counted(size, 'byte')}, {FOOTER_BYTES_MAX} at most")


def _check_counts(totals: int, rows: int) -> None:
    if totals > FOOTER_JSON_MAX:
        raise TooLarge(f"totals of {totals} bytes in a footer, {FOOTER_JSON_MAX} at most")
    if rows > ROWS_MAX:
        raise TooLarge(f"{rows} batches in a footer, {ROWS_MAX} at most")


def bounded(gaps: Sequence[Gap]) -> list[Gap]:
    """As many gaps as fit into a footer. If there are more, the last one covers all the others."""
    if len(gaps) <= GAPS_MAX:
        return list(gaps)
    rest = gaps[GAPS_MAX - 1 :]
    reason = f"{len(rest)} gaps, and the bytes between them"
    return [*gaps[: GAPS_MAX - 1], msgspec.structs.replace(rest[0], size=rest[-1].end - rest[0].offset, reason=reason)]


def _stored(gap: Gap) -> dict[str, object]:
    """The members of a gap in the footer. Whether it was harmless is not stored: a harmless gap is in no footer."""
    members: dict[str, object] = msgspec.to_builtins(gap)
    del members["harmless"]
    return members


def _words(raw: bytes) -> "array[int]":
    """Convert between little-endian bytes and words of this machine: on a big-endian machine, the bytes are swapped."""
    words = array("Q", raw)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def decode_footer(raw: bytes) -> tuple[Footer, list[IndexRow]]:
    """The inverse of `encode_footer`. Raises CodecError."""
    check_footer_size(len(raw))
    body = part_body(raw, PartKind.FOOTER)
    try:
        length, count = _FOOTER_COUNTS.unpack_from(body)
        _check_counts(length, count)
        at = _FOOTER_COUNTS.size + length
        footer = parse_json(body[_FOOTER_COUNTS.size : at], Footer)
        rows = [_ROW.unpack_from(body, at + index * _ROW.size) for index in range(count)]
        words = _decode_words(body[at + count * _ROW.size : -_FOOTER_END.size], [row[5] for row in rows])
    except struct.error as error:
        raise Corrupt(f"footer: {error}") from error
    return footer, [IndexRow(_header_of(row), w) for row, w in zip(rows, words, strict=True)]


def _header_of(row: tuple[int, ...]) -> BatchHeader:
    number, records, events, compressed, raw, _words, first_event, _zero, *rest = row
    return BatchHeader(number, records, events, compressed, raw, first_event, *rest)


def _decode_words(raw: bytes, sizes: list[int]) -> list[Sequence[int]]:
    if sum(sizes) * 8 != len(raw):
        raise Corrupt(f"footer with {len(raw)} bytes of filter words, {sum(sizes) * 8} expected")
    _check_filter_sizes(sizes)
    words: list[Sequence[int]] = [()] * len(sizes)
    at = 0
    for size in sorted(set(sizes)):
        members = [index for index, one in enumerate(sizes) if one == size]
        matrix = _words(raw[at : at + 8 * size * len(members)])
        at += 8 * size * len(members)
        for place, index in enumerate(members):
            words[index] = matrix[place :: len(members)]
    return words


def _check_filter_sizes(sizes: list[int]) -> None:
    """Check the sizes of the filters. Only powers of two are valid, because each different size costs a pass over all rows."""
    for size in set(sizes):
        if size & (size - 1) or size > FILTER_WORDS_MAX:
            raise Corrupt(f"filter of {size} words, a power of two up to {FILTER_WORDS_MAX} expected")


def footer_bytes(end: bytes) -> int:
    """The size of the footer that ends with these 12 bytes."""
    return int(_FOOTER_END.unpack_from(end)[0])


FOOTER_END_BYTES = _FOOTER_END.size + CHECK.size

ROW_BYTES = _ROW.size

INDEX_START_BYTES = PREFIX.size + _FOOTER_COUNTS.size


def index_bytes(start: bytes) -> int:
    """The size of prefix, totals and rows of the footer that begins with these 24 bytes. The filter words follow.

    Raises CodecError.
    """
    if len(start) < INDEX_START_BYTES:
        raise Truncated(f"{counted(len(start), 'byte')}, a footer begins with {INDEX_START_BYTES}")
    size = footer_size(start)
    length, count = _FOOTER_COUNTS.unpack_from(start, PREFIX.size)
    _check_counts(length, count)
    index = INDEX_START_BYTES + length + count * _ROW.size
    if index > size:
        raise Corrupt(f"footer of {counted(size, 'byte')} with an index of {index}")
    return int(index)


@dataclass(frozen=True, slots=True)
class FooterIndex:
    """A footer without its filter words: enough to select batches by time, and to find the words of a key.

    No checksum covers it alone; each header's own does its row.
    """

    footer: Footer
    headers: list[BatchHeader]
    filter_sizes: list[int]  # words in the filter of each batch; 0 if it has no filter

    def ranges(self, key: int) -> Iterator[tuple[list[int], int]]:
        """Batches, and the offset of the first of their words for this key, counted from the end of the index; 8 bytes per batch."""
        at = 0
        for size in sorted(set(self.filter_sizes) - {0}):
            members = [number for number, words in enumerate(self.filter_sizes) if words == size]
            yield members, at + 8 * len(members) * word_index(key, size)
            at += 8 * len(members) * size


def decode_index(raw: bytes) -> FooterIndex:
    """Totals and rows of a footer, from its first `index_bytes` bytes. Raises CodecError."""
    length, count = _FOOTER_COUNTS.unpack_from(raw, PREFIX.size)
    at = INDEX_START_BYTES + length
    footer = parse_json(raw[INDEX_START_BYTES:at], Footer)
    rows = [_ROW.unpack_from(raw, at + number * _ROW.size) for number in range(count)]
    return FooterIndex(footer, [_header_of(row) for row in rows], [row[5] for row in rows])


def words_of(raw: bytes) -> Sequence[int]:
    """Filter words, as `FooterIndex.ranges` finds them."""
    return _words(raw)
