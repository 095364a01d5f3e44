"""Head and batches of an archive, around zstd frames of KVP records.

Role: FORMAT.md in code; `parts`, `footer` and `seektable` are the rest of it. Invariant: each batch header carries the
checksum of the one before it, so that a batch that is missing, moved or changed shows.
"""

import struct
import sys
from dataclasses import dataclass

import orjson
from xxhash import xxh3_64_intdigest

from codec.errors import Corrupt, TooLarge
from codec.parts import BATCH, CHECK, HEAD, PREFIX, SKIPPABLE, VERSION, body_of, check_of, frame, parse
from codec.profiles import RECORD_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BATCH = struct.Struct("<IIIIIIqqqqQQ")
BATCH_HEADER_BYTES = PREFIX.size + _BATCH.size + CHECK.size
BATCH_MARK = PREFIX.pack(SKIPPABLE, BATCH_HEADER_BYTES - 8, b"DEED", BATCH, VERSION, 0)
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
    raw = frame(HEAD, orjson.dumps(head))
    if len(raw) > HEAD_BYTES_MAX:
        raise TooLarge(f"head of {len(raw)} bytes, {HEAD_BYTES_MAX} at most")
    return raw


def decode_head(raw: bytes) -> Head:
    """The inverse of `encode_head`. Raises CodecError."""
    return parse(body_of(raw, HEAD), Head)


def encode_batch_header(header: BatchHeader) -> bytes:
    """96 bytes; `header.check` is computed, whatever it says. Raises TooLarge."""
    try:
        body = _BATCH.pack(
            header.number, header.records, header.events, header.compressed, header.raw, header.first_event,
            header.first_us, header.last_us, header.first_arrived_us, header.last_arrived_us,
            header.frame_check, header.previous,
        )  # fmt: skip
    except struct.error as error:
        raise TooLarge(f"batch header {header}: {error}") from error
    return frame(BATCH, body)


def decode_batch_header(raw: bytes) -> BatchHeader:
    """The inverse of `encode_batch_header`, with the checksum in `check`. Raises CodecError."""
    body = body_of(raw, BATCH)
    if len(body) != _BATCH.size:
        raise Corrupt(f"batch header of {len(body)} bytes, {_BATCH.size} expected")
    fields = _BATCH.unpack(body)
    return BatchHeader(*fields, check_of(raw))  # type: ignore[call-arg]  # mypy cannot count the fields of the star


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
