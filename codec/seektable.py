"""The seek table of the zstd seekable format, last in a sealed archive. Other programs use it to read a part of the file.

Source: zstd, contrib/seekable_format/zstd_seekable_compression_format.md.
"""

import struct
from collections.abc import Sequence

from codec.counted import counted
from codec.errors import Corrupt, Truncated

_SEEK_TABLE = 0x184D2A5E
_SEEKABLE = 0x8F92EAB1
_SEEK_END = struct.Struct("<IBI")
_SEEK_ENTRY = struct.Struct("<II")


def encode_seek_table(frames: Sequence[tuple[int, int]]) -> bytes:
    """The seek table of a file from the (compressed, decompressed) sizes of its frames. A skippable frame has 0 decompressed bytes."""
    body = b"".join(_SEEK_ENTRY.pack(*sizes) for sizes in frames)
    size = len(body) + _SEEK_END.size
    return struct.pack("<II", _SEEK_TABLE, size) + body + _SEEK_END.pack(len(frames), 0, _SEEKABLE)


SEEK_END_BYTES = _SEEK_END.size


def seek_table_size(frames: int) -> int:
    """The size of a seek table of this number of frames, in bytes."""
    return 8 + frames * _SEEK_ENTRY.size + _SEEK_END.size


def seek_table_bytes(end: bytes) -> int:
    """The size of a seek table, from its last 9 bytes. Raises Corrupt if they are not the end of a seek table."""
    if len(end) != _SEEK_END.size:
        raise Truncated(f"end of a seek table: {len(end)} of {_SEEK_END.size} bytes found")
    count, descriptor, magic = _SEEK_END.unpack(end)
    if magic != _SEEKABLE or descriptor:
        raise Corrupt(f"{end.hex(' ')} found at the end of the file, the end of a seek table expected")
    return seek_table_size(count)


def batches_in(size: int) -> int:
    """How many batches an archive has whose seek table has this size: two frames for each, and one each for head and footer."""
    return max(0, (size - seek_table_size(2)) // (2 * _SEEK_ENTRY.size))


def decode_seek_table(raw: bytes) -> list[tuple[int, int]]:
    """The inverse of `encode_seek_table`. Raises CodecError."""
    if len(raw) < 8 + _SEEK_END.size or len(raw) != seek_table_bytes(raw[-_SEEK_END.size :]):
        raise Truncated(
            f"seek table of {counted(len(raw), 'byte')} found, which is not the size that its last 9 bytes give"
        )
    magic, size = struct.unpack_from("<II", raw)
    if magic != _SEEK_TABLE or size + 8 != len(raw):
        raise Corrupt(f"seek table begins with {raw[:8].hex(' ')}, the magic number and its own size expected")
    entries = raw[8 : -_SEEK_END.size]
    return [(c, d) for c, d in _SEEK_ENTRY.iter_unpack(entries)]
