"""The seek table of the zstd seekable format, last in a sealed archive: foreign readers find their way by it.

Source: zstd, contrib/seekable_format/zstd_seekable_compression_format.md.
"""

import struct
from collections.abc import Sequence

from codec.errors import Corrupt, Truncated

_SEEK_TABLE = 0x184D2A5E
_SEEKABLE = 0x8F92EAB1
_SEEK_END = struct.Struct("<IBI")
_SEEK_ENTRY = struct.Struct("<II")


def encode_seek_table(frames: Sequence[tuple[int, int]]) -> bytes:
    """The seek table over (compressed, decompressed) sizes of all frames of the file, skippable ones with 0 bytes."""
    body = b"".join(_SEEK_ENTRY.pack(*sizes) for sizes in frames)
    size = len(body) + _SEEK_END.size
    return struct.pack("<II", _SEEK_TABLE, size) + body + _SEEK_END.pack(len(frames), 0, _SEEKABLE)


SEEK_END_BYTES = _SEEK_END.size


def seek_table_size(frames: int) -> int:
    """The size of a seek table over that many frames."""
    return 8 + frames * _SEEK_ENTRY.size + _SEEK_END.size


def seek_table_bytes(end: bytes) -> int:
    """The size of the seek table whose last 9 bytes these are. Raises Corrupt if they end none."""
    if len(end) != _SEEK_END.size:
        raise Truncated(f"{len(end)} bytes, a seek table ends with {_SEEK_END.size}")
    count, descriptor, magic = _SEEK_END.unpack(end)
    if magic != _SEEKABLE or descriptor:
        raise Corrupt("no seek table at the end")
    return seek_table_size(count)


def decode_seek_table(raw: bytes) -> list[tuple[int, int]]:
    """The inverse of `encode_seek_table`. Raises CodecError."""
    if len(raw) < 8 + _SEEK_END.size or len(raw) != seek_table_bytes(raw[-_SEEK_END.size :]):
        raise Truncated(f"seek table of {len(raw)} bytes")
    magic, size = struct.unpack_from("<II", raw)
    if magic != _SEEK_TABLE or size + 8 != len(raw):
        raise Corrupt("seek table with another header")
    entries = raw[8 : -_SEEK_END.size]
    return [(c, d) for c, d in _SEEK_ENTRY.iter_unpack(entries)]
