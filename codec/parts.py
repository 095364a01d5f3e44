"""The parts of an archive that are ours: skippable frames with a name, a kind, a version and a checksum.

Role: what head, batch header and footer have in common. Invariant: prefix and checksum are the same in all versions, so
that every Deedbox can tell a damaged part from a newer one.
Source: RFC 8878 section 3.1.2 (skippable frames).
"""

import struct
from typing import TypeVar

import msgspec
from xxhash import xxh3_64_intdigest

from codec.errors import CodecError, Corrupt, Truncated, UnsupportedVersion

T = TypeVar("T")

VERSION = 1
HEAD, BATCH, FOOTER = 1, 2, 3

SKIPPABLE = 0x184D2A5D  # any of 0x184D2A50 to 0x184D2A5F; readers of the seekable format take 5E for themselves
PREFIX = struct.Struct("<II4sBBH")  # magic, bytes that follow, "DEED", kind, version, zero
CHECK = struct.Struct("<Q")


def frame(kind: int, body: bytes) -> bytes:
    """A part around its body, with prefix and checksum."""
    size = PREFIX.size - 8 + len(body) + CHECK.size
    raw = PREFIX.pack(SKIPPABLE, size, b"DEED", kind, VERSION, 0) + body
    return raw + CHECK.pack(xxh3_64_intdigest(raw))


def frame_bytes(raw: bytes) -> int:
    """The whole size of the Deedbox part that begins with these 16 bytes. Raises CodecError."""
    return _prefix(raw)[2] + 8


def kind_of(raw: bytes) -> int | None:
    """The kind of the part that begins with these 16 bytes; None if they begin no part of this version."""
    try:
        kind, version, _ = _prefix(raw)
    except CodecError:
        return None
    return kind if version == VERSION else None


def _prefix(raw: bytes) -> tuple[int, int, int]:
    if len(raw) < PREFIX.size:
        raise Truncated(f"{len(raw)} bytes, a part begins with {PREFIX.size}")
    magic, size, name, kind, version, _reserved = PREFIX.unpack_from(raw)
    if magic != SKIPPABLE or name != b"DEED":
        raise Corrupt(f"{raw[:12].hex(' ')} found, no part of an archive begins so")
    return kind, version, size


def body_of(raw: bytes, kind: int) -> bytes:
    """What stands between prefix and checksum, after both were checked."""
    found, version, size = _prefix(raw)
    if len(raw) != size + 8 or len(raw) < PREFIX.size + CHECK.size:
        raise Truncated(f"part of {size + 8} bytes, {len(raw)} found")
    (check,) = CHECK.unpack_from(raw, len(raw) - CHECK.size)
    computed = xxh3_64_intdigest(raw[: -CHECK.size])
    if check != computed:
        raise Corrupt(f"checksum {computed:016x}, {check:016x} expected")
    if version > VERSION:  # after the checksum, which all versions share: a flipped bit makes no new version
        raise UnsupportedVersion(f"format version {version}, this Deedbox reads up to {VERSION}")
    if found != kind or version == 0:
        raise Corrupt(f"part of kind {found}, version {version}; kind {kind} expected")
    return raw[PREFIX.size : -CHECK.size]


def parse(raw: bytes, kind: type[T]) -> T:
    """JSON as a dataclass, every member of its type. Raises Corrupt."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"{kind.__name__.lower()}: {error}") from error


def check_of(head_raw: bytes) -> int:
    """The checksum of the head, with which the chain of batches begins."""
    (check,) = CHECK.unpack_from(head_raw, len(head_raw) - CHECK.size)
    return int(check)
