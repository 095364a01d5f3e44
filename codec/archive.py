"""Head and batches of an archive, around zstd frames of KVP records.

Role: FORMAT.md in code; `parts`, `footer` and `seektable` are the rest of it. Invariant: each batch header carries the
checksum of the one before it, so that a batch that is missing, moved or changed shows.
"""

import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import orjson
from xxhash import xxh3_64

from codec.errors import Corrupt, TooLarge
from codec.limits import BATCH_RAW_MAX, SHARED_RAW_MAX, frame_bytes_max
from codec.parts import CHECK, PREFIX, SKIPPABLE, VERSION, PartKind, checksum_of, encode_part, parse_json, part_body
from codec.profiles import RECORD_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BATCH = struct.Struct("<IIIIIIqqqqQQ")
BATCH_HEADER_BYTES = PREFIX.size + _BATCH.size + CHECK.size
BATCH_PREFIX = PREFIX.pack(SKIPPABLE, BATCH_HEADER_BYTES - 8, b"DEED", PartKind.BATCH_HEADER, VERSION, 0)
HEAD_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Previous:
    """The archive of the same instance that was sealed before. `events`: how many it held; 0 if that is unknown."""

    archive: str
    sha256: str | None
    events: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The writer of the archive. `window`: how many events the broker may have held as unacked, at most.

    `predecessor`: the sequence of the newest archive of the instance that held a committed batch when this one was opened,
    sealed or not; 0 if there was none.
    """

    instance: str
    sequence: int
    created_us: int
    boot_id: str
    profile: str = "wire"
    window: int = 0
    previous: Previous | None = None
    predecessor: int = 0


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """What a batch holds. `first_event`: the number of its first event in the archive, from 0. Times: microseconds since 1970.

    `check` is the checksum of the header itself, which the next header repeats as `previous`.
    """

    number: int
    records: int
    events: int
    compressed: int
    raw: int
    first_event: int
    first_us: int
    last_us: int
    first_arrived_us: int
    last_arrived_us: int
    frame_check: int
    previous: int
    check: int


def encode_head(head: Head) -> bytes:
    """The head as a skippable frame. Raises TooLarge."""
    raw = encode_part(PartKind.HEAD, orjson.dumps(head))
    if len(raw) > HEAD_BYTES_MAX:
        raise TooLarge(f"head of {len(raw)} bytes, {HEAD_BYTES_MAX} at most")
    return raw


def decode_head(raw: bytes) -> Head:
    """The inverse of `encode_head`. Raises CodecError."""
    return parse_json(part_body(raw, PartKind.HEAD), Head)


def encode_batch_header(header: BatchHeader) -> bytes:
    """96 bytes; `header.check` is computed, whatever it says. Raises CodecError for what `decode_batch_header` refuses."""
    _check_sizes(header)
    try:
        body = _BATCH.pack(
            header.number, header.records, header.events, header.compressed, header.raw, header.first_event,
            header.first_us, header.last_us, header.first_arrived_us, header.last_arrived_us,
            header.frame_check, header.previous,
        )  # fmt: skip
    except struct.error as error:
        raise TooLarge(f"batch header {header}: {error}") from error
    return encode_part(PartKind.BATCH_HEADER, body)


def decode_batch_header(raw: bytes) -> BatchHeader:
    """The inverse of `encode_batch_header`, with the checksum in `check`. Raises CodecError."""
    body = part_body(raw, PartKind.BATCH_HEADER)
    if len(body) != _BATCH.size:
        raise Corrupt(f"batch header of {len(body)} bytes, {_BATCH.size} expected")
    fields = _BATCH.unpack(body)
    header = BatchHeader(*fields, checksum_of(raw))  # type: ignore[call-arg]  # mypy cannot count the fields of the star
    _check_sizes(header)
    return header


def _check_sizes(header: BatchHeader) -> None:
    if header.raw != header.records * RECORD_BYTES:
        raise Corrupt(f"batch header of {header.raw} bytes in {header.records} records")
    limit = raw_max(header.events)
    if header.raw > limit:
        raise TooLarge(f"batch of {header.events} events and {header.raw} bytes of records, {limit} at most")
    if header.compressed > frame_bytes_max(header.raw):
        raise TooLarge(f"frame of {header.compressed} bytes around {header.raw}")


def raw_max(events: int) -> int:
    """How many bytes of records a batch of that many events may hold."""
    return BATCH_RAW_MAX if events == 1 else SHARED_RAW_MAX


# Records differ in long stretches: short matches cost more than they save, and an optimal parser saves what a higher level
# would, in a quarter of its time. For what is compressed once and kept.
TUNED_FOR_RECORDS: Mapping[int, int] = {
    zstd.CompressionParameter.min_match: 6,
    zstd.CompressionParameter.strategy: zstd.Strategy.btopt,
    zstd.CompressionParameter.search_log: 3,
    zstd.CompressionParameter.target_length: 999,
}


def compress(raw: bytes, level: int, tuning: Mapping[int, int] | None = None) -> bytes:
    """One zstd frame with content size and checksum. `tuning`: parameters of zstd that replace those of the level."""
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    return zstd.compress(raw, options=options | dict(tuning or {}))


def check_frame(pieces: Iterable[bytes], header: BatchHeader) -> None:
    """Compare a frame, which comes in pieces, with the checksum in its header. Raises Corrupt."""
    digest = xxh3_64()
    for piece in pieces:
        digest.update(piece)
    check = digest.intdigest()
    if check != header.frame_check:
        raise Corrupt(f"frame checksum {check:016x}, {header.frame_check:016x} expected")


_WHOLE_MAX = 8 << 20  # records of this size are decompressed in one step: it is faster, and they fit into memory
_PIECE_BYTES = 1024 * RECORD_BYTES


def decompress(pieces: Iterable[bytes], header: BatchHeader) -> Iterator[bytes]:
    """The records of a batch in pieces of whole records, from its frame in pieces. The frame must have been checked.

    Memory is bounded by a piece and zstd's window (128 MiB at most), whatever the frame holds. Raises Corrupt, for a frame of
    another size after some of its records were given.
    """
    step = header.raw if header.raw <= _WHOLE_MAX else _PIECE_BYTES
    left, rest = header.raw, b""
    for raw in _decompressed(pieces, step):
        left -= len(raw)
        if left < 0:
            break
        rest = rest + raw if rest else raw
        whole = len(rest) - len(rest) % RECORD_BYTES
        if whole:
            yield rest[:whole]
            rest = rest[whole:]
    if left:
        raise Corrupt(f"frame of another size than {header.raw} bytes decompressed")


def _decompressed(pieces: Iterable[bytes], step: int) -> Iterator[bytes]:
    """What a frame holds, `step` bytes at a time at most. Raises Corrupt."""
    decompressor = zstd.ZstdDecompressor()
    for piece in pieces:
        given = piece
        while given or not (decompressor.needs_input or decompressor.eof):
            if decompressor.eof:
                raise Corrupt("bytes after the end of the zstd frame")
            try:
                raw = decompressor.decompress(given, max_length=step)
            except (zstd.ZstdError, MemoryError) as error:
                raise Corrupt(f"zstd: {error}") from error
            given = b""
            if raw:
                yield raw
    if not decompressor.eof or decompressor.unused_data:
        raise Corrupt("zstd: the frame does not end where its bytes do")
