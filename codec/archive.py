"""The archive container: head, batch headers, footer and seek table around zstd frames of KVP records.

Role: FORMAT.md in code, part for part. Invariants: everything is little-endian; each part carries a checksum of itself;
each batch header carries the checksum of the one before it, so that a part that is missing, moved or changed shows.
Sources: RFC 8878 section 3.1.2 (skippable frames); zstd contrib/seekable_format/zstd_seekable_compression_format.md.
"""

import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import orjson
from xxhash import xxh3_64_intdigest

from codec.errors import Corrupt, TooLarge, Truncated, UnsupportedVersion
from codec.kvp import RECORD_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

T = TypeVar("T")

VERSION = 1
HEAD, BATCH, FOOTER = 1, 2, 3

_SKIPPABLE = 0x184D2A5D  # any of 0x184D2A50 to 0x184D2A5F; readers of the seekable format take 5E for themselves
_PREFIX = struct.Struct("<II4sBBH")  # magic, bytes that follow, "DEED", kind, version, zero
_CHECK = struct.Struct("<Q")
_BATCH = struct.Struct("<IIIIIIqqqqQQ")
BATCH_HEADER_BYTES = _PREFIX.size + _BATCH.size + _CHECK.size
BATCH_MARK = _PREFIX.pack(_SKIPPABLE, BATCH_HEADER_BYTES - 8, b"DEED", BATCH, VERSION, 0)
HEAD_BYTES_MAX = 64 * 1024
RAW_BYTES_MAX = 0xFFFF_FFFF  # the seek table's sizes have 32 bits

_SEEK_TABLE = 0x184D2A5E
_SEEKABLE = 0x8F92EAB1
_SEEK_END = struct.Struct("<IBI")
_SEEK_ENTRY = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Previous:
    """The archive before this one of the same instance; no digest if it was not sealed yet."""

    archive: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """Who wrote the archive. `window`: how many events the broker may have held as unacked, at most."""

    instance: str
    sequence: int
    created_us: int
    boot_id: str
    profile: str = "wire"
    window: int = 0
    previous: Previous | None = None


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """What a batch holds. Times are microseconds since 1970; `check` is the link of the chain."""

    number: int
    records: int
    events: int
    compressed: int
    raw: int
    first_us: int
    last_us: int
    first_arrived_us: int
    last_arrived_us: int
    frame_check: int
    previous: int
    check: int


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A batch as the footer knows it; its offset is the sum of the sizes before it."""

    header: BatchHeader
    words: Sequence[int]


@dataclass(frozen=True, slots=True)
class LostBytes:
    """A gap that an archive had before it was mended, at its place in the original."""

    offset: int
    bytes: int
    kind: str
    reason: str


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
    gaps: list[LostBytes] = field(default_factory=list)
    mended_from: str | None = None


def _frame(kind: int, body: bytes) -> bytes:
    size = _PREFIX.size - 8 + len(body) + _CHECK.size
    raw = _PREFIX.pack(_SKIPPABLE, size, b"DEED", kind, VERSION, 0) + body
    return raw + _CHECK.pack(xxh3_64_intdigest(raw))


def frame_bytes(raw: bytes) -> int:
    """The whole size of the Deedbox part that begins with these 16 bytes. Raises CodecError."""
    return _prefix(raw)[2] + 8


def _prefix(raw: bytes) -> tuple[int, int, int]:
    if len(raw) < _PREFIX.size:
        raise Truncated(f"{len(raw)} bytes, a part begins with {_PREFIX.size}")
    magic, size, name, kind, version, _reserved = _PREFIX.unpack_from(raw)
    if magic != _SKIPPABLE or name != b"DEED":
        raise Corrupt(f"{raw[:12].hex(' ')} found, no part of an archive begins so")
    return kind, version, size


def _body(raw: bytes, kind: int) -> bytes:
    """What stands between prefix and checksum, after both were checked."""
    found, version, size = _prefix(raw)
    if len(raw) != size + 8 or len(raw) < _PREFIX.size + _CHECK.size:
        raise Truncated(f"part of {size + 8} bytes, {len(raw)} found")
    (check,) = _CHECK.unpack_from(raw, len(raw) - _CHECK.size)
    computed = xxh3_64_intdigest(raw[: -_CHECK.size])
    if check != computed:
        raise Corrupt(f"checksum {computed:016x}, {check:016x} expected")
    if version > VERSION:  # after the checksum, which all versions share: a flipped bit makes no new version
        raise UnsupportedVersion(f"format version {version}, this Deedbox reads up to {VERSION}")
    if found != kind or version == 0:
        raise Corrupt(f"part of kind {found}, version {version}; kind {kind} expected")
    return raw[_PREFIX.size : -_CHECK.size]


def encode_head(head: Head) -> bytes:
    """The head as a skippable frame. Raises TooLarge."""
    raw = _frame(HEAD, orjson.dumps(head))
    if len(raw) > HEAD_BYTES_MAX:
        raise TooLarge(f"head of {len(raw)} bytes, {HEAD_BYTES_MAX} at most")
    return raw


def decode_head(raw: bytes) -> Head:
    """The inverse of `encode_head`. Raises CodecError."""
    return _parse(_body(raw, HEAD), Head)


def _parse(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"{kind.__name__.lower()}: {error}") from error


def first_link(head_raw: bytes) -> int:
    """The checksum of the head, with which the chain of batches begins."""
    (check,) = _CHECK.unpack_from(head_raw, len(head_raw) - _CHECK.size)
    return int(check)


def encode_batch_header(header: BatchHeader) -> bytes:
    """96 bytes; `header.check` is computed, whatever it says. Raises TooLarge."""
    try:
        body = _BATCH.pack(
            header.number, header.records, header.events, header.compressed, header.raw, 0,
            header.first_us, header.last_us, header.first_arrived_us, header.last_arrived_us,
            header.frame_check, header.previous,
        )  # fmt: skip
    except struct.error as error:
        raise TooLarge(f"batch header {header}: {error}") from error
    return _frame(BATCH, body)


def decode_batch_header(raw: bytes) -> BatchHeader:
    """The inverse of `encode_batch_header`, with the checksum in `check`. Raises CodecError."""
    body = _body(raw, BATCH)
    if len(body) != _BATCH.size:
        raise Corrupt(f"batch header of {len(body)} bytes, {_BATCH.size} expected")
    fields = _BATCH.unpack(body)
    if fields[5]:
        raise Corrupt("batch header with reserved bits set")
    return BatchHeader(*fields[:5], *fields[6:], first_link(raw))  # type: ignore[call-arg]  # mypy counts two stars as two


def compress(raw: bytes, level: int) -> bytes:
    """One zstd frame with content size and checksum."""
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    return zstd.compress(raw, options=options)


def check_frame(frame: bytes, header: BatchHeader) -> None:
    """Compare a frame with the checksum in its header. Raises Corrupt."""
    check = xxh3_64_intdigest(frame)
    if check != header.frame_check:
        raise Corrupt(f"frame checksum {check:016x}, {header.frame_check:016x} expected")


def decompress(frame: bytes, header: BatchHeader) -> bytes:
    """The records of a batch, checked against its header. Raises Corrupt."""
    check_frame(frame, header)
    if header.raw != header.records * RECORD_BYTES:
        raise Corrupt(f"{header.raw} bytes in {header.records} records")
    decompressor = zstd.ZstdDecompressor()
    try:
        raw = decompressor.decompress(frame, max_length=header.raw)  # a forged frame must not take the memory
    except (zstd.ZstdError, MemoryError) as error:
        raise Corrupt(f"zstd: {error}") from error
    if not decompressor.eof or decompressor.unused_data or len(raw) != header.raw:
        raise Corrupt(f"frame of another size than {header.raw} bytes decompressed")
    return raw


_ROW = struct.Struct("<IIIIIIqqqqQQQ")
_FOOTER_COUNTS = struct.Struct("<II")
_FOOTER_END = struct.Struct("<I")


def encode_row(header: BatchHeader, words: bytes) -> bytes:
    """A batch in the footer's index: 100 bytes."""
    return _ROW.pack(
        header.number, header.records, header.events, header.compressed, header.raw, len(words) // 8,
        header.first_us, header.last_us, header.first_arrived_us, header.last_arrived_us,
        header.frame_check, header.previous, header.check,
    )  # fmt: skip


def encode_footer(footer: Footer, rows: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """JSON totals, one row a batch, then the filter words: filters of one size together, rank by rank.

    Raises TooLarge past 4 GiB.
    """
    totals = orjson.dumps(footer)
    parts = [_FOOTER_COUNTS.pack(len(totals), len(rows)), totals, *rows]
    for size in sorted(set(map(len, words))):
        matrix = _words(b"".join(one for one in words if len(one) == size))
        parts += [_words(matrix[rank :: size // 8].tobytes()).tobytes() for rank in range(size // 8)]
    size = sum(map(len, parts)) + _PREFIX.size + _FOOTER_END.size + _CHECK.size
    if size > 0xFFFF_FFFF:
        raise TooLarge(f"footer of {size} bytes")
    # Its own size again at its end: a reader that comes from the end of the file finds its beginning.
    return _frame(FOOTER, b"".join([*parts, _FOOTER_END.pack(size)]))


def _words(raw: bytes) -> "array[int]":
    """Little-endian words as an array, or the other way round: on big-endian machines they are swapped."""
    words = array("Q", raw)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def decode_footer(raw: bytes) -> tuple[Footer, list[IndexRow]]:
    """The inverse of `encode_footer`. Raises CodecError."""
    body = _body(raw, FOOTER)
    try:
        length, count = _FOOTER_COUNTS.unpack_from(body)
        at = _FOOTER_COUNTS.size + length
        footer = _parse(body[_FOOTER_COUNTS.size : at], Footer)
        rows = [_ROW.unpack_from(body, at + index * _ROW.size) for index in range(count)]
        words = _decode_words(body[at + count * _ROW.size : -_FOOTER_END.size], [row[5] for row in rows])
    except struct.error as error:
        raise Corrupt(f"footer: {error}") from error
    return footer, [IndexRow(BatchHeader(*row[:5], *row[6:]), w) for row, w in zip(rows, words, strict=True)]


def _decode_words(raw: bytes, ranks: list[int]) -> list[Sequence[int]]:
    if sum(ranks) * 8 != len(raw):
        raise Corrupt(f"footer with {len(raw)} bytes of filter words, {sum(ranks) * 8} expected")
    words: list[Sequence[int]] = [()] * len(ranks)
    at = 0
    for size in sorted(set(ranks)):
        members = [index for index, rank in enumerate(ranks) if rank == size]
        matrix = _words(raw[at : at + 8 * size * len(members)])
        at += 8 * size * len(members)
        for place, index in enumerate(members):
            words[index] = matrix[place :: len(members)]
    return words


def encode_seek_table(frames: Sequence[tuple[int, int]]) -> bytes:
    """The seek table over (compressed, decompressed) sizes of all frames of the file, skippable ones with 0 bytes."""
    body = b"".join(_SEEK_ENTRY.pack(*sizes) for sizes in frames)
    size = len(body) + _SEEK_END.size
    return struct.pack("<II", _SEEK_TABLE, size) + body + _SEEK_END.pack(len(frames), 0, _SEEKABLE)


SEEK_END_BYTES = _SEEK_END.size


def seek_table_bytes(end: bytes) -> int:
    """The size of the seek table whose last 9 bytes these are. Raises Corrupt if they end none."""
    if len(end) != _SEEK_END.size:
        raise Truncated(f"{len(end)} bytes, a seek table ends with {_SEEK_END.size}")
    count, descriptor, magic = _SEEK_END.unpack(end)
    if magic != _SEEKABLE or descriptor:
        raise Corrupt("no seek table at the end")
    return int(8 + count * _SEEK_ENTRY.size + _SEEK_END.size)


def decode_seek_table(raw: bytes) -> list[tuple[int, int]]:
    """The inverse of `encode_seek_table`. Raises CodecError."""
    if len(raw) < 8 + _SEEK_END.size or len(raw) != seek_table_bytes(raw[-_SEEK_END.size :]):
        raise Truncated(f"seek table of {len(raw)} bytes")
    magic, size = struct.unpack_from("<II", raw)
    if magic != _SEEK_TABLE or size + 8 != len(raw):
        raise Corrupt("seek table with another header")
    entries = raw[8 : -_SEEK_END.size]
    return [(c, d) for c, d in _SEEK_ENTRY.iter_unpack(entries)]


def footer_bytes(end: bytes) -> int:
    """The size of the footer whose last 12 bytes these are."""
    return int(_FOOTER_END.unpack_from(end)[0])


FOOTER_END_BYTES = _FOOTER_END.size + _CHECK.size
