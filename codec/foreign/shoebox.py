"""Archives of shoebox, version 1: records of metadata and a payload, in the byte order of the machine that wrote them.

Invariants: a file may hold records of both byte orders. A record is valid only if its lengths agree with each other and it ends
within the file. Source: shoebox, disk_storage.py.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from codec.counted import counted
from codec.errors import Corrupt, TooLarge, Truncated
from codec.foreign.resync import SearchableBytes, records
from codec.gap import Gap, GapKind
from codec.limits import BODY_BYTES_MAX

_MAGIC = 0x69867884
_ORDERS = {struct.pack("<i", _MAGIC): "<", struct.pack(">i", _MAGIC): ">"}
MAGICS = tuple(_ORDERS)
_FIXED_BYTES = 18
_LENGTH_MAX = (1 << 31) - 1
METADATA_BYTES_MAX = 32 << 20  # an exported event with the longest members has 20 MiB


class Record(NamedTuple):
    """A record: metadata in the order of the file, and the payload. Text that is not UTF-8 is kept by `surrogateescape`."""

    offset: int
    metadata: tuple[tuple[str, str], ...]
    payload: bytes


def decode(raw: SearchableBytes) -> Iterator[Record | Gap]:
    """All records of a file, and the gaps between them."""
    return records(raw, _record, MAGICS)


def _record(raw: SearchableBytes, at: int) -> tuple[Record | Gap, int]:
    """The record at an offset, and the offset after it. A record that exceeds a limit is a gap. Raises Corrupt and Truncated."""
    fixed = raw[at : at + _FIXED_BYTES]
    if len(fixed) < _FIXED_BYTES:
        raise Truncated(f"header of a record: {len(fixed)} of {_FIXED_BYTES} bytes found", at)
    order = _ORDERS.get(fixed[:4])
    if order is None:
        raise Corrupt(f"{fixed[:4].hex(' ')} found, the beginning of a record expected", at)
    version, metadata_size, raw_size, zero = struct.unpack_from(order + "hiii", fixed, 4)
    if version != 1:
        raise Corrupt(f"version {version} found, 1 expected", at)
    if zero or metadata_size < 4 or raw_size < 4:
        reason = f"lengths {metadata_size} and {raw_size} and end of header {zero:#x} found, at least 4, at least 4 and 0 expected"
        raise Corrupt(reason, at)
    middle, end = at + _FIXED_BYTES + metadata_size, at + _FIXED_BYTES + metadata_size + raw_size
    if end > len(raw):
        raise Truncated(f"{counted(len(raw) - at, 'byte')} left, a record of {end - at} expected", at)
    if metadata_size > METADATA_BYTES_MAX:
        reason = f"metadata of {counted(metadata_size, 'byte')}, at most {METADATA_BYTES_MAX} allowed"
        return Gap(at, end - at, GapKind.DAMAGED, reason), end
    if raw_size - 4 > BODY_BYTES_MAX:
        reason = f"payload of {raw_size - 4} bytes, at most {BODY_BYTES_MAX} allowed"
        return Gap(at, end - at, GapKind.DAMAGED, reason), end
    (count,) = struct.unpack(order + "i", raw[at + _FIXED_BYTES : at + _FIXED_BYTES + 4])
    if count % 4 or count < 0 or 4 + 2 * count > metadata_size:  # checked before the block is read, which may be long
        raise Corrupt(f"metadata with a count of {count} found in a block of {counted(metadata_size, 'byte')}", at)
    (payload_size,) = struct.unpack(order + "i", raw[middle : middle + 4])
    if payload_size != raw_size - 4:
        raise Corrupt(
            f"payload of {counted(payload_size, 'byte')} found in a block of {raw_size}, {raw_size - 4} expected", at
        )
    return Record(at, _metadata(raw[at + _FIXED_BYTES : middle], order, at), raw[middle + 4 : end]), end


def _metadata(block: bytes, order: str, at: int) -> tuple[tuple[str, str], ...]:
    (count,) = struct.unpack_from(order + "i", block)
    strings = count // 2
    sizes = struct.unpack_from(f"{order}{strings}i", block, 4)
    if min(sizes, default=0) < 0 or 4 + 4 * strings + sum(sizes) != len(block):
        reason = f"metadata strings of {counted(sum(sizes), 'byte')} found, {len(block) - 4 - 4 * strings} expected"
        raise Corrupt(reason, at)
    texts, start = [], 4 + 4 * strings
    for size in sizes:
        texts.append(block[start : start + size].decode("utf-8", "surrogateescape"))
        start += size
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def encode(metadata: Sequence[tuple[str, str]], payload: bytes) -> bytes:
    """A record, little-endian. Raises TooLarge if the metadata or the payload exceeds the format's limit of 2 GiB."""
    texts = [text.encode("utf-8", "surrogateescape") for pair in metadata for text in pair]
    sizes = struct.pack(f"<{len(texts)}i", *map(len, texts))
    block = struct.pack("<i", 2 * len(texts)) + sizes + b"".join(texts)
    if len(payload) + 4 > _LENGTH_MAX or len(block) > _LENGTH_MAX:
        sizes_found = f"payload of {counted(len(payload), 'byte')} and metadata of {len(block)}"
        raise TooLarge(f"{sizes_found}, at most {_LENGTH_MAX - 4} and {_LENGTH_MAX} allowed")
    fixed = struct.pack("<ihiii", _MAGIC, 1, len(block), len(payload) + 4, 0)
    return fixed + block + struct.pack("<i", len(payload)) + payload
