"""Head and batches of an archive, as FORMAT.md defines them. A batch is a header and a zstd frame of KVP records.

Role: `parts`, `footer` and `seektable` encode the other parts. Invariant: each batch header holds the checksum of the header
before it, so a missing, moved or changed batch is detected.
"""

import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import orjson
from xxhash import xxh3_64

from codec.counted import counted
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
    """The archive that the same instance sealed before. `events`: its number of events; 0 if unknown."""

    archive: str
    sha256: str | None
    events: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an archive. `window`: the highest number of unacknowledged events that the broker may have held.

    `created_us`: microseconds since 1970. `predecessor`: sequence of the newest archive of the instance, sealed or open, that held a
    committed batch when this archive was opened; 0 if there was none.
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
    """The header of a batch. `first_event`: the number of its first event within the archive, from 0. Times: microseconds since 1970.

    `compressed` and `raw`: size of the frame and of its records, in bytes. `check`: checksum of this header, which the next
    header repeats as `previous`.
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
    """The head as a part. Raises TooLarge."""
    raw = encode_part(PartKind.HEAD, orjson.dumps(head))
    if len(raw) > HEAD_BYTES_MAX:
        raise TooLarge(f"head of {len(raw)} bytes, at most {HEAD_BYTES_MAX} allowed")
    return raw


def decode_head(raw: bytes) -> Head:
    """The inverse of `encode_head`. Raises CodecError."""
    return parse_json(part_body(raw, PartKind.HEAD), Head)


def encode_batch_header(header: BatchHeader) -> bytes:
    """A batch header as a part of 96 bytes. The checksum is computed, and `header.check` is ignored.

    Raises CodecError for a header that `decode_batch_header` refuses.
    """
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
    """The inverse of `encode_batch_header`. `check` is the checksum of the part. Raises CodecError."""
    body = part_body(raw, PartKind.BATCH_HEADER)
    if len(body) != _BATCH.size:
        raise Corrupt(f"batch header with a body of {counted(len(body), 'byte')} found, {_BATCH.size} expected")
    fields = _BATCH.unpack(body)
    header = BatchHeader(*fields, checksum_of(raw))  # type: ignore[call-arg]  # mypy cannot count the fields of `*fields`
    _check_sizes(header)
    return header


def _check_sizes(header: BatchHeader) -> None:
    if header.raw != header.records * RECORD_BYTES:
        raise Corrupt(
            f"{counted(header.raw, 'byte')} in {counted(header.records, 'record')} found, {header.records * RECORD_BYTES} expected"
        )
    limit = raw_max(header.events)
    if header.raw > limit:
        raise TooLarge(
            f"batch of {header.events} events and {counted(header.raw, 'byte')} of records, at most {limit} allowed"
        )
    if header.compressed > (frame_max := frame_bytes_max(header.raw)):
        raise TooLarge(f"frame of {header.compressed} bytes for {header.raw} of records, at most {frame_max} allowed")


def raw_max(events: int) -> int:
    """The largest size of the records of a batch with this number of events, in bytes."""
    return BATCH_RAW_MAX if events == 1 else SHARED_RAW_MAX


# For frames that are compressed once and kept. Equal parts of records are long, so short matches cost more than they save. An
# optimal parser saves as much as a higher level would, in a quarter of the time.
TUNED_FOR_RECORDS: Mapping[int, int] = {
    zstd.CompressionParameter.min_match: 6,
    zstd.CompressionParameter.strategy: zstd.Strategy.btopt,
    zstd.CompressionParameter.search_log: 3,
    zstd.CompressionParameter.target_length: 999,
}


def compress(raw: bytes, level: int, tuning: Mapping[int, int] | None = None) -> bytes:
    """One zstd frame with content size and checksum. `tuning`: parameters of zstd that replace the parameters of the level."""
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    return zstd.compress(raw, options=options | dict(tuning or {}))


def check_frame(pieces: Iterable[bytes], header: BatchHeader) -> None:
    """Compare a frame, given in pieces, with the checksum in its batch header. Raises Corrupt."""
    digest = xxh3_64()
    for piece in pieces:
        digest.update(piece)
    check = digest.intdigest()
    if check != header.frame_check:
        raise Corrupt(f"frame checksum {check:016x} computed, {header.frame_check:016x} expected")


_PIECE_BYTES = 64 * RECORD_BYTES  # stays in the cache of a core: with pieces of 5 MB, decoding takes twice as long


def decompress(pieces: Iterable[bytes], header: BatchHeader) -> Iterator[bytes]:
    """Decompress the frame of a batch, given in pieces, into pieces of whole records. Call `check_frame` first.

    Memory holds one piece and zstd's window (at most 128 MiB). Raises Corrupt. If the frame has another size than the header
    states, some records have been yielded before.
    """
    missing, remainder = header.raw, b""
    for raw in _decompressed(pieces):
        missing -= len(raw)
        if missing < 0:
            break
        remainder = remainder + raw if remainder else raw
        whole = len(remainder) - len(remainder) % RECORD_BYTES
        if whole:
            yield remainder[:whole]
            remainder = remainder[whole:]
    if missing:
        raise Corrupt(
            f"frame decompresses to {'more' if missing < 0 else 'less'} than the {counted(header.raw, 'byte')} of its header"
        )


def _decompressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The decompressed bytes of a frame, at most _PIECE_BYTES at a time. Raises Corrupt."""
    decompressor = zstd.ZstdDecompressor()
    for piece in pieces:
        given = piece
        while given or not (decompressor.needs_input or decompressor.eof):
            if decompressor.eof:
                raise Corrupt("zstd: bytes found after the end of the frame")
            try:
                raw = decompressor.decompress(given, max_length=_PIECE_BYTES)
            except (zstd.ZstdError, MemoryError) as error:
                raise Corrupt(f"zstd: {error}") from error
            given = b""
            if raw:
                yield raw
    if not decompressor.eof or decompressor.unused_data:
        raise Corrupt("zstd: the frame does not end at the size in its header")
