"""The footer of a sealed archive: totals, one row a batch, and the filters that say which batches to skip.

Invariants: the words of equal rank of all filters of one size stand side by side, so that a look-up of one key reads one
stretch however many batches there are; the footer ends with its own size, so that it is found from the end of the file.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import msgspec
import orjson

from codec.archive import BATCH_HEADER_BYTES, BatchHeader
from codec.errors import Corrupt, TooLarge, Truncated
from codec.filter import word_index
from codec.gap import Gap
from codec.limits import FILTER_WORDS_MAX, FOOTER_BYTES_MAX, FOOTER_JSON_MAX, GAPS_MAX, ROWS_MAX
from codec.parts import CHECK, PREFIX, PartKind, encode_part, parse_json, part_body, part_size


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A batch as the footer knows it; its offset is the sum of the sizes before it."""

    header: BatchHeader
    words: Sequence[int]


@dataclass(frozen=True, slots=True)
class Footer:
    """Totals of a sealed archive. `types` and `tags` are counts by name, complete unless `names_complete` is false."""

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
    removed: int = 0  # events whose content was taken out by `compact`


_ROW = struct.Struct("<IIIIIIIIqqqqQQQ")
_FOOTER_COUNTS = struct.Struct("<II")
_FOOTER_END = struct.Struct("<I")


def encode_row(header: BatchHeader, words: bytes) -> bytes:
    """A batch in the footer's index: 88 bytes."""
    return _ROW.pack(
        header.number, header.records, header.events, header.compressed, header.raw, len(words) // 8,
        header.first_event, 0,
        header.first_us, header.last_us, header.first_arrived_us, header.last_arrived_us,
        header.frame_check, header.previous, header.check,
    )  # fmt: skip


def row_sizes(row: bytes) -> tuple[int, int]:
    """Compressed and decompressed size of the frame that a row speaks of."""
    _number, _records, _events, compressed, raw = struct.unpack_from("<5I", row)
    return compressed, raw


def frame_sizes(head: int, batches: Iterable[tuple[int, int]], footer: int) -> list[tuple[int, int]]:
    """Compressed and decompressed size of every frame of an archive, for its seek table; only records decompress to something."""
    frames = [(head, 0)]
    for sizes in batches:
        frames += [(BATCH_HEADER_BYTES, 0), sizes]
    return [*frames, (footer, 0)]


def encode_footer(footer: Footer, rows: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """JSON totals, one row a batch, then the filter words: filters of one size together, rank by rank.

    Raises TooLarge for a footer that `decode_footer` refuses.
    """
    members = asdict(footer)
    if not footer.removed:
        del members["removed"]  # only where something was
    members["gaps"] = list(map(_stored, footer.gaps))
    totals = orjson.dumps(members)
    _check_counts(len(totals), len(rows))
    parts = [_FOOTER_COUNTS.pack(len(totals), len(rows)), totals, *rows]
    for size in sorted(set(map(len, words))):
        matrix = _words(b"".join(one for one in words if len(one) == size))
        parts += [_words(matrix[rank :: size // 8].tobytes()).tobytes() for rank in range(size // 8)]
    size = sum(map(len, parts)) + PREFIX.size + _FOOTER_END.size + CHECK.size
    check_footer_size(size)
    # Its own size again at its end: a reader that comes from the end of the file finds its beginning.
    return encode_part(PartKind.FOOTER, b"".join([*parts, _FOOTER_END.pack(size)]))


def footer_size(start: bytes) -> int:
    """The whole size of the footer that begins with these 16 bytes. Raises CodecError."""
    size = part_size(start)
    check_footer_size(size)
    return size


def check_footer_size(size: int) -> None:
    """Raises TooLarge for a footer that nobody reads."""
    if size > FOOTER_BYTES_MAX:
        raise TooLarge(f"footer of {size} bytes, {FOOTER_BYTES_MAX} at most")


def _check_counts(totals: int, rows: int) -> None:
    if totals > FOOTER_JSON_MAX:
        raise TooLarge(f"totals of {totals} bytes in a footer, {FOOTER_JSON_MAX} at most")
    if rows > ROWS_MAX:
        raise TooLarge(f"{rows} batches in a footer, {ROWS_MAX} at most")


def bounded(gaps: Sequence[Gap]) -> list[Gap]:
    """As many gaps as a footer takes. The last of them stands for all others."""
    if len(gaps) <= GAPS_MAX:
        return list(gaps)
    rest = gaps[GAPS_MAX - 1 :]
    reason = f"{len(rest)} gaps, and what lies between them"
    return [*gaps[: GAPS_MAX - 1], msgspec.structs.replace(rest[0], size=rest[-1].end - rest[0].offset, reason=reason)]


def _stored(gap: Gap) -> dict[str, object]:
    """The members of a gap in the footer. Whether it was harmless is not stored: a harmless gap is in no footer."""
    members: dict[str, object] = msgspec.to_builtins(gap)
    del members["harmless"]
    return members


def _words(raw: bytes) -> "array[int]":
    """Little-endian words as an array, or the other way round: on big-endian machines they are swapped."""
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


def _decode_words(raw: bytes, ranks: list[int]) -> list[Sequence[int]]:
    if sum(ranks) * 8 != len(raw):
        raise Corrupt(f"footer with {len(raw)} bytes of filter words, {sum(ranks) * 8} expected")
    _check_ranks(ranks)
    words: list[Sequence[int]] = [()] * len(ranks)
    at = 0
    for size in sorted(set(ranks)):
        members = [index for index, rank in enumerate(ranks) if rank == size]
        matrix = _words(raw[at : at + 8 * size * len(members)])
        at += 8 * size * len(members)
        for place, index in enumerate(members):
            words[index] = matrix[place :: len(members)]
    return words


def _check_ranks(ranks: list[int]) -> None:
    """Few different sizes: each costs a pass over all rows."""
    for size in set(ranks):
        if size & (size - 1) or size > FILTER_WORDS_MAX:
            raise Corrupt(f"filter of {size} words, a power of two up to {FILTER_WORDS_MAX} expected")


def footer_bytes(end: bytes) -> int:
    """The size of the footer whose last 12 bytes these are."""
    return int(_FOOTER_END.unpack_from(end)[0])


FOOTER_END_BYTES = _FOOTER_END.size + CHECK.size

INDEX_START_BYTES = PREFIX.size + _FOOTER_COUNTS.size


def index_bytes(start: bytes) -> int:
    """How many bytes the totals and rows take of a footer that begins with these 24; the filter words follow them.

    Raises CodecError.
    """
    if len(start) < INDEX_START_BYTES:
        raise Truncated(f"{len(start)} bytes, a footer begins with {INDEX_START_BYTES}")
    size = footer_size(start)
    length, count = _FOOTER_COUNTS.unpack_from(start, PREFIX.size)
    _check_counts(length, count)
    index = INDEX_START_BYTES + length + count * _ROW.size
    if index > size:
        raise Corrupt(f"footer of {size} bytes with an index of {index}")
    return int(index)


@dataclass(frozen=True, slots=True)
class FooterIndex:
    """A footer without its filter words: enough to skip by time, and to know where the words of a key stand.

    No checksum covers it alone; each header's own does its row.
    """

    footer: Footer
    headers: list[BatchHeader]
    ranks: list[int]  # words in the filter of each batch; 0 where there is none

    def ranges(self, key: int) -> Iterator[tuple[list[int], int]]:
        """Batches, and how far behind the index the first of their words for this key stands; eight bytes each."""
        at = 0
        for size in sorted(set(self.ranks) - {0}):
            members = [number for number, ranks in enumerate(self.ranks) if ranks == size]
            yield members, at + 8 * len(members) * word_index(key, size)
            at += 8 * len(members) * size


def decode_index(raw: bytes) -> FooterIndex:
    """Totals and rows of a footer, from its first `index_bytes` bytes. Raises CodecError."""
    length, count = _FOOTER_COUNTS.unpack_from(raw, PREFIX.size)
    at = INDEX_START_BYTES + length
    footer = parse_json(raw[INDEX_START_BYTES:at], Footer)
    rows = [_ROW.unpack_from(raw, at + number * _ROW.size) for number in range(count)]
    return FooterIndex(footer, [_header_of(row) for row in rows], [row[5] for row in rows])


def words_of(stretch: bytes) -> Sequence[int]:
    """Filter words, as `FooterIndex.ranges` finds them."""
    return _words(stretch)
