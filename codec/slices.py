"""JSON text: quoted, and cut into pieces that are JSON texts of their own.

Pure. Invariant: a piece ends inside of no UTF-8 character, no escape and no surrogate pair, so that the pieces joined and
then decoded, and decoded and then joined, both give the original.
Source: RFC 8259 section 7.
"""

import json
from collections.abc import Iterator

import orjson


def quote(value: str, ascii_only: bool = False) -> bytes:
    """`value` as a JSON string; lone surrogates, which UTF-8 cannot hold, as escapes."""
    if not ascii_only:
        try:
            return orjson.dumps(value)
        except TypeError:
            pass  # orjson refuses surrogates and says so by TypeError; the escapes below hold them
    return json.dumps(value).encode("ascii")


def cut(escaped: bytes, first: int, rest: int, whole: int = 1) -> Iterator[bytes]:
    """Pieces of at most `first` and then `rest` bytes. `whole` > 1: plain text, cut at multiples of it."""
    at, room = 0, first
    while True:
        end = at + room
        if end >= len(escaped):
            yield escaped[at:]
            return
        end = at + room // whole * whole if whole > 1 else _boundary(escaped, at, end)
        yield escaped[at:end]
        at, room = end, rest


def _boundary(escaped: bytes, at: int, end: int) -> int:
    """The last place up to `end` that is inside of no character, escape or surrogate pair. `at` is such a place."""
    while escaped[end] & 0xC0 == 0x80:
        end -= 1
    slash = escaped.rfind(b"\\", max(at, end - 6), end)
    if slash < 0 or not _starts_escape(escaped, at, slash):
        return end
    size = 6 if escaped[slash + 1 : slash + 2] == b"u" else 2
    if slash + size > end:
        high = slash - 6
        split = high >= at and _surrogate(escaped, at, high, b"89ab") and _surrogate(escaped, at, slash, b"cdef")
        return high if split else slash
    split = _surrogate(escaped, at, slash, b"89ab") and _surrogate(escaped, at, end, b"cdef")
    return slash if slash + size == end and split else end


def _starts_escape(escaped: bytes, at: int, slash: int) -> bool:
    """Whether the backslash begins an escape: an even number of backslashes stands before it."""
    before = escaped[at:slash]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 0


def _surrogate(escaped: bytes, at: int, slash: int, half: bytes) -> bool:
    """Whether the escape of a surrogate stands at `slash`: `89ab` for a high one, `cdef` for a low one."""
    unit = escaped[slash : slash + 6].lower()
    return unit[:3] == b"\\ud" and unit[3:4] in half and len(unit) == 6 and _starts_escape(escaped, at, slash)
