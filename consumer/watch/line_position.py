"""LinePosition: up to where a file has been read, with a fingerprint of the bytes before it.

Invariant: a position matches a file only if the file holds the bytes that were read: the fingerprint covers the beginning
of the file and the last bytes before the offset.
"""

import os
from typing import Annotated, NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

FINGERPRINT_BYTES = 1024  # of the beginning, and of the last bytes before the offset

Unsigned = Annotated[int, msgspec.Meta(ge=0)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]  # larger than any file, and accepted by pread(2)
HeadBytes = Annotated[int, msgspec.Meta(ge=0, le=FINGERPRINT_BYTES)]


class LinePosition(NamedTuple):
    """Up to where a file has been read. The state file stores it as an array in this order.

    `start`: the offset of the line that contains `offset`; equal to `offset` except between two pieces of a long line.
    `fingerprint`: of the first `head_bytes` bytes, which need not have been returned yet, and of the last
    FINGERPRINT_BYTES before `offset`. `content_id`: identifies the content of the file; new after each truncation. `size`,
    `changed_ns`: the size and the time of the last write when the file was checked last; 0 if unknown.
    """

    inode: Unsigned
    offset: Offset
    start: Offset
    head_bytes: HeadBytes
    fingerprint: Unsigned
    content_id: str
    size: Unsigned = 0
    changed_ns: int = 0


def matches(fd: int, position: LinePosition) -> bool:
    """Whether the file holds the bytes before the position, because it is that file or a copy of it. Raises OSError."""
    size = min(position.offset, FINGERPRINT_BYTES)
    head, tail = os.pread(fd, position.head_bytes, 0), os.pread(fd, size, position.offset - size)
    return (len(head), len(tail)) == (position.head_bytes, size) and fingerprint_of(head, tail) == position.fingerprint


def fingerprint_of(head: bytes, tail: bytes) -> int:
    """The fingerprint of the first bytes of a file and the last bytes before an offset."""
    return xxh3_64_intdigest(head + tail)


def seen_bytes(position: LinePosition) -> int:
    """How many bytes of the file the fingerprint covers at least in part."""
    return max(position.offset, position.head_bytes)
