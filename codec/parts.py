"""The parts of an archive that Deedbox defines: skippable frames with a name, a kind, a version and a checksum.

Role: the common form of head, batch header and footer. Invariant: the prefix and the checksum have the same layout in all
versions, so that each version of Deedbox can distinguish a damaged part from a part of a newer version.
Source: RFC 8878 section 3.1.2 (skippable frames).
"""

import struct
from enum import IntEnum
from typing import TypeVar

import msgspec
from xxhash import xxh3_64_intdigest

from codec.counted import counted
from codec.errors import CodecError, Corrupt, Truncated, UnsupportedVersion

T = TypeVar("T")


class PartKind(IntEnum):
    """The kind of a part, as its prefix holds it."""

    HEAD = 1
    BATCH_HEADER = 2
    FOOTER = 3


VERSION = 1
SKIPPABLE = 0x184D2A5D  # one of 0x184D2A50 to 0x184D2A5F; the seekable format uses 0x184D2A5E for itself
PREFIX = struct.Struct("<II4sBBH")  # magic, number of bytes after this field, "DEED", kind, version, zero
CHECK = struct.Struct("<Q")


def encode_part(kind: PartKind, body: bytes) -> bytes:
    """A part: prefix, body and checksum."""
    size = PREFIX.size - 8 + len(body) + CHECK.size
    raw = PREFIX.pack(SKIPPABLE, size, b"DEED", kind, VERSION, 0) + body
    return raw + CHECK.pack(xxh3_64_intdigest(raw))


def part_size(raw: bytes) -> int:
    """The size of the whole part that begins with these 16 bytes. Raises CodecError."""
    return _prefix(raw)[2] + 8


def part_kind(raw: bytes) -> int | None:
    """The kind of the part that begins with these 16 bytes. None if they begin no part, or a part of another version."""
    try:
        kind, version, _ = _prefix(raw)
    except CodecError:
        return None
    return kind if version == VERSION else None


def _prefix(raw: bytes) -> tuple[int, int, int]:
    """Kind, version and number of bytes after the size field. Raises CodecError."""
    if len(raw) < PREFIX.size:
        raise Truncated(f"prefix of a part: {len(raw)} of {PREFIX.size} bytes found")
    magic, size, name, kind, version, _reserved = PREFIX.unpack_from(raw)
    if magic != SKIPPABLE or name != b"DEED":
        raise Corrupt(f"{raw[:12].hex(' ')} found, the prefix of a Deedbox part expected")
    return kind, version, size


def part_body(raw: bytes, kind: PartKind) -> bytes:
    """The bytes between the prefix and the checksum of a whole part. Both are verified first. Raises CodecError."""
    found, version, size = _prefix(raw)
    if len(raw) != size + 8 or len(raw) < PREFIX.size + CHECK.size:
        raise Truncated(f"{counted(len(raw), 'byte')} found, a part of {size + 8} expected")
    (check,) = CHECK.unpack_from(raw, len(raw) - CHECK.size)
    computed = xxh3_64_intdigest(raw[: -CHECK.size])
    if check != computed:
        raise Corrupt(f"checksum {computed:016x} computed, {check:016x} expected")
    # After the checksum, which all versions share: a flipped bit in the version field must not look like a newer version.
    if version > VERSION:
        raise UnsupportedVersion(f"format version {version} found, this Deedbox reads up to version {VERSION}")
    if found != kind or version == 0:
        raise Corrupt(f"part of kind {found} and version {version} found, kind {kind} expected")
    return raw[PREFIX.size : -CHECK.size]


def parse_json(raw: bytes, kind: type[T]) -> T:
    """JSON as a dataclass. Each member must have its declared type. Raises Corrupt."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"{kind.__name__.lower()}: {error}") from error


def checksum_of(part: bytes) -> int:
    """The checksum at the end of a part. The next part repeats it, which makes the parts a chain."""
    (check,) = CHECK.unpack_from(part, len(part) - CHECK.size)
    return int(check)
