"""Scan a file of another system: yield its whole records, and a gap for the bytes between them.

Role: `shoebox`, `theia` and `cloudinit` use it. Invariants: every byte of a file belongs to a record or to a gap. After damage,
reading continues at the next offset where a whole record begins.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from codec.errors import Corrupt, Truncated
from codec.gap import Gap, GapKind

T = TypeVar("T")


class SearchableBytes(Protocol):
    """Bytes, or a file that can be sliced and searched without being read into memory as a whole."""

    def __len__(self) -> int: ...

    def __getitem__(self, piece: slice, /) -> bytes: ...

    def find(self, found: bytes, start: int = ..., end: int = ..., /) -> int:
        """The offset of the first occurrence, or -1."""


def gap(offset: int, after: int | None, size: int, reason: str) -> Gap:
    """The gap from `offset` to the next record at `after`. If `after` is None, the gap ends at the end of the file."""
    if after is None:
        return Gap(offset, size - offset, GapKind.TORN, reason)
    return Gap(offset, after - offset, GapKind.DAMAGED, reason)


def records(
    raw: SearchableBytes, decode: Callable[[SearchableBytes, int], tuple[T, int]], magics: Sequence[bytes]
) -> Iterator[T | Gap]:
    """All records of a file, and the gaps between them.

    `decode`: gives the record at an offset and the offset after it; raises Corrupt or Truncated if there is no whole record.
    `magics`: each record begins with one of them. The file is searched for them once, in linear time.
    """
    at = 0
    candidates = _offsets(raw, magics)
    candidate = next(candidates, None)
    while at < len(raw):
        try:
            record, after = decode(raw, at)
        except (Corrupt, Truncated) as fault:
            while candidate is not None and (candidate <= at or not _is_whole(raw, decode, candidate)):
                candidate = next(candidates, None)
            yield gap(at, candidate, len(raw), fault.reason)
            at = len(raw) if candidate is None else candidate
            continue
        yield record
        at = after


def _offsets(raw: SearchableBytes, magics: Sequence[bytes]) -> Iterator[int]:
    """The offsets of all magics, in ascending order."""
    following = {magic: raw.find(magic) for magic in magics}
    while found := {magic: offset for magic, offset in following.items() if offset >= 0}:
        magic, offset = min(found.items(), key=lambda pair: pair[1])
        yield offset
        following[magic] = raw.find(magic, offset + 1)


def _is_whole(raw: SearchableBytes, decode: Callable[[SearchableBytes, int], tuple[T, int]], at: int) -> bool:
    try:
        decode(raw, at)
    except (Corrupt, Truncated):
        return False
    return True
