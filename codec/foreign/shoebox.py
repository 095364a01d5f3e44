"""Shoebox archives, version 1: records of metadata and a payload, in the byte order of the machine that wrote them.

Invariants: both byte orders are read, also in one file; a length is believed only when everything inside of it adds up and it
ends within the file. Source: shoebox, disk_storage.py.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from codec.errors import Corrupt, TooLarge, Truncated
from codec.foreign.resync import Raw, records
from codec.gap import Gap, GapKind
from codec.limits import BODY_BYTES_MAX

_MAGIC = 0x69867884
_ORDERS = {struct.pack("<i", _MAGIC): "<", struct.pack(">i", _MAGIC): ">"}
_FIXED_BYTES = 18
_LENGTH_MAX = (1 << 31) - 1
METADATA_BYTES_MAX = 32 << 20  # of a record that is read; an exported event with the longest members takes 20 MiB


class Record(NamedTuple):
    """Metadata in its order, and the payload. Text that is no UTF-8 is kept by `surrogateescape`."""

    offset: int
    metadata: tuple[tuple[str, str], ...]
    payload: bytes


def read(raw: Raw) -> Iterator[Record | Gap]:
    """All records, and the gaps between them."""
    return records(raw, _record, tuple(_ORDERS))


def _record(raw: Raw, at: int) -> tuple[Record | Gap, int]:
    """The record at `at`, or the reason why no event can hold it, and where it ends. Raises Corrupt and Truncated."""
    fixed = raw[at : at + _FIXED_BYTES]
    if len(fixed) < _FIXED_BYTES:
        raise Truncated(f"{len(fixed)} bytes, a record begins with {_FIXED_BYTES}", at)
    order = _ORDERS.get(fixed[:4])
    if order is None:
        raise Corrupt(f"{fixed[:4].hex(' ')} where a record begins", at)
    version, metadata_size, raw_size, zero = struct.unpack_from(order + "hiii", fixed, 4)
    if version != 1:
        raise Corrupt(f"version {version}, 1 expected", at)
    if zero or metadata_size < 4 or raw_size < 4:
        raise Corrupt(f"lengths {metadata_size} and {raw_size}, end of header {zero:#x}", at)
    middle, end = at + _FIXED_BYTES + metadata_size, at + _FIXED_BYTES + metadata_size + raw_size
    if end > len(raw):
        raise Truncated(f"record of {end - at} bytes, {len(raw) - at} left", at)
    if metadata_size > METADATA_BYTES_MAX or raw_size - 4 > BODY_BYTES_MAX:
        reason = f"metadata of {metadata_size} bytes, {METADATA_BYTES_MAX} at most, or a payload of {raw_size - 4}, {BODY_BYTES_MAX} at most"
        return Gap(at, end - at, GapKind.DAMAGED, reason), end
    (count,) = struct.unpack(order + "i", raw[at + _FIXED_BYTES : at + _FIXED_BYTES + 4])
    if count % 4 or count < 0 or 4 + 2 * count > metadata_size:  # before the block is looked at: it may be long
        raise Corrupt(f"metadata of {count} in {metadata_size} bytes", at)
    (payload_size,) = struct.unpack(order + "i", raw[middle : middle + 4])
    if payload_size != raw_size - 4:
        raise Corrupt(f"payload of {payload_size} bytes in a block of {raw_size}", at)
    return Record(at, _metadata(raw[at + _FIXED_BYTES : middle], order, at), raw[middle + 4 : end]), end


def _metadata(block: bytes, order: str, at: int) -> tuple[tuple[str, str], ...]:
    (count,) = struct.unpack_from(order + "i", block)
    strings = count // 2
    sizes = struct.unpack_from(f"{order}{strings}i", block, 4)
    if min(sizes, default=0) < 0 or 4 + 4 * strings + sum(sizes) != len(block):
        raise Corrupt(f"metadata strings of {sum(sizes)} bytes in a block of {len(block)}", at)
    texts, start = [], 4 + 4 * strings
    for size in sizes:
        texts.append(block[start : start + size].decode("utf-8", "surrogateescape"))
        start += size
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def write(metadata: Sequence[tuple[str, str]], payload: bytes) -> bytes:
    """A record, little-endian. Raises TooLarge past the format's 2 GiB."""
    texts = [text.encode("utf-8", "surrogateescape") for pair in metadata for text in pair]
    sizes = struct.pack(f"<{len(texts)}i", *map(len, texts))
    block = struct.pack("<i", 2 * len(texts)) + sizes + b"".join(texts)
    if len(payload) + 4 > _LENGTH_MAX or len(block) > _LENGTH_MAX:
        raise TooLarge(f"payload of {len(payload)} bytes, {_LENGTH_MAX - 4} at most")
    fixed = struct.pack("<ihiii", _MAGIC, 1, len(block), len(payload) + 4, 0)
    return fixed + block + struct.pack("<i", len(payload)) + payload
