"""Quote text as JSON, and cut it into pieces of which each is valid JSON text.

Pure. Invariant: no piece ends within a UTF-8 character, an escape or a surrogate pair. So joining the pieces before decoding
and joining them after decoding give the same text, the original.
Source: RFC 8259 section 7.
"""

import json
from collections.abc import Iterator

import orjson


def quote(value: str, ascii_only: bool = False) -> bytes:
    """`value` as a JSON string. Lone surrogates, which UTF-8 cannot encode, become escapes."""
    if not ascii_only:
        try:
            return orjson.dumps(value)
        except TypeError:
            pass  # orjson raises TypeError for lone surrogates; `json` writes them as escapes
    return json.dumps(value).encode("ascii")


def cut(escaped: bytes, first: int, others: int, whole: int = 1) -> Iterator[bytes]:
    """Pieces of a JSON text: the first has at most `first` bytes, each other one at most `others`.

    `whole` > 1: the text has no escapes, and each piece but the last has a multiple of `whole` bytes.
    """
    at, room = 0, first
    while True:
        end = at + room
        if end >= len(escaped):
            yield escaped[at:]
            return
        end = at + room // whole * whole if whole > 1 else _boundary(escaped, at, end)
        yield escaped[at:end]
        at, room = end, others


def _boundary(escaped: bytes, at: int, end: int) -> int:
    """The last offset up to `end` that is not within a character, an escape or a surrogate pair. `at` is such an offset."""
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
    """Whether the backslash begins an escape. It does if the number of backslashes before it is even."""
    before = escaped[at:slash]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 0


def _surrogate(escaped: bytes, at: int, slash: int, half: bytes) -> bool:
    """Whether the escape of a surrogate is at `slash`. `half`: `89ab` for a high surrogate, `cdef` for a low one."""
    unit = escaped[slash : slash + 6].lower()
    return unit[:3] == b"\\ud" and unit[3:4] in half and len(unit) == 6 and _starts_escape(escaped, at, slash)
