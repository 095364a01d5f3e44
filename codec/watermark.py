"""The watermark of an instance: up to which event its newest archive is committed.

Role: the bytes of `<instance>.committed`. Invariant: a record that was read while it was written, or that is cut short, is
an error and is never decoded as another watermark. Source: FORMAT.md.
"""

import struct
from dataclasses import dataclass

from xxhash import xxh3_64_intdigest

from codec.counted import counted
from codec.errors import Corrupt, Truncated, UnsupportedVersion

_RECORD = struct.Struct("<8sIIQQQ")
_CHECK = struct.Struct("<Q")
_MAGIC = b"DEEDMARK"
_VERSION = 1
WATERMARK_BYTES = _RECORD.size + _CHECK.size


@dataclass(frozen=True, slots=True)
class Watermark:
    """How much of archive `sequence` is committed: its first `events` events, its first `bytes` bytes."""

    sequence: int
    events: int
    bytes: int


def encode_watermark(mark: Watermark) -> bytes:
    """The record: 48 bytes."""
    raw = _RECORD.pack(_MAGIC, _VERSION, 0, mark.sequence, mark.events, mark.bytes)
    return raw + _CHECK.pack(xxh3_64_intdigest(raw))


def decode_watermark(raw: bytes) -> Watermark:
    """The inverse of `encode_watermark`. Raises CodecError."""
    if len(raw) != WATERMARK_BYTES:
        raise Truncated(f"watermark of {counted(len(raw), 'byte')}, {WATERMARK_BYTES} expected")
    magic, version, _zero, sequence, events, size = _RECORD.unpack_from(raw)
    (check,) = _CHECK.unpack_from(raw, _RECORD.size)
    if magic != _MAGIC or check != xxh3_64_intdigest(raw[: _RECORD.size]):
        raise Corrupt("watermark with another magic or checksum")
    if version != _VERSION:
        raise UnsupportedVersion(f"watermark of version {version}, this Deedbox reads {_VERSION}")
    return Watermark(sequence, events, size)
