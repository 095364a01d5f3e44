"""Take content headers apart and put them together again, without decoding what is kept.

Pure. Invariants: `header_of(parts_of(raw)) == raw` for every header that `parts_of` accepts, and what an edit does not name keeps its
bytes. Nothing is decoded recursively, so a header of any depth is accepted. Bytes that are no header raise CodecError and nothing else.
Sources: those of `codec.amqp`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from codec.amqp import PROPERTIES, decode_text
from codec.counted import counted
from codec.errors import Corrupt, Truncated

_SIZES = {
    "t": 1, "b": 1, "B": 1, "s": 2, "u": 2, "I": 4, "i": 4, "l": 8, "f": 4, "d": 8, "T": 8, "D": 5, "V": 0,
}  # fmt: skip
_LONG = frozenset("SxAF")  # four bytes of length come first
_BEFORE_TABLE, _HEADERS, _UNKNOWN = (0x8000, 0x4000), 0x2000, 0x0003  # flags of content_type, content_encoding, headers
_NAMES = frozenset(name for name, _, _ in PROPERTIES)


class RawField(NamedTuple):
    """A value of a table or an array. `value`: its bytes; those of a string, an array or a table without their length."""

    kind: str
    value: bytes


class RawPair(NamedTuple):
    """A name and a value of a table. `raw`: the bytes of both, as on the wire."""

    name: str
    field: RawField
    raw: bytes


def parts_of(header: bytes) -> dict[str, bytes]:
    """The bytes of each property by its name, in wire order, as on the wire. `header`: from its flags on. Raises CodecError."""
    flags = int.from_bytes(_take(header, 0, 2), "big")
    parts: dict[str, bytes] = {}
    at = 2
    for name, kind, bit in PROPERTIES:
        if flags & bit:
            flags -= bit
            parts[name] = _take(header, at, _property_size(header, at, kind))
            at += len(parts[name])
    if flags:
        raise Corrupt(
            f"property flags {flags:#06x} found, no flags but those of the {len(PROPERTIES)} properties expected"
        )
    if at != len(header):
        raise Corrupt(f"{counted(len(header) - at, 'byte')} found after the end", at)
    return parts


def _property_size(header: bytes, at: int, kind: str) -> int:
    if kind == "s":
        return 1 + _take(header, at, 1)[0]
    return 4 + _u32(header, at) if kind == "F" else _SIZES[kind]


def header_of(parts: Mapping[str, bytes]) -> bytes:
    """The inverse of `parts_of`, for parts in any order. Raises Corrupt for a name that is no property."""
    if unknown := parts.keys() - _NAMES:
        raise Corrupt(f"property {', '.join(sorted(unknown))} found, one of AMQP's properties expected")
    flags = sum(bit for name, _, bit in PROPERTIES if name in parts)
    return flags.to_bytes(2, "big") + b"".join(parts[name] for name, _, _ in PROPERTIES if name in parts)


def pairs_of(table: bytes) -> Iterator[RawPair]:
    """The pairs of a table, from its bytes after the length. Raises CodecError when it comes to damaged bytes."""
    at = 0
    while at < len(table):
        name = _take(table, at + 1, table[at])
        field, end = _field(table, at + 1 + len(name))
        yield RawPair(decode_text(name), field, table[at:end])
        at = end


def elements_of(array: bytes) -> Iterator[RawField]:
    """The elements of an array, from its bytes after the length. Raises CodecError when it comes to damaged bytes."""
    at = 0
    while at < len(array):
        field, at = _field(array, at)
        yield field


def headers_in(header: bytes) -> Iterator[RawPair]:
    """The headers of a message, which are the pairs of its table `headers`. Raises CodecError."""
    return pairs_of(parts_of(header).get("headers", b"")[4:])


def edit_headers(header: bytes, keep: Callable[[str], bool], added: Iterable[bytes] = ()) -> bytes:
    """The same content header with other headers: those whose names `keep` accepts, and then the pairs `added`.

    The kept ones keep their bytes and their order. If the last header is removed, the table is left out. Raises CodecError.
    """
    parts = parts_of(header)
    old = parts.get("headers", b"")[4:]
    body = b"".join([*(pair.raw for pair in pairs_of(old) if keep(pair.name)), *added])
    if body == old:
        return header
    parts.pop("headers", None)
    if body:
        parts["headers"] = len(body).to_bytes(4, "big") + body
    return header_of(parts)


def append_headers(header: bytes, pairs: bytes) -> bytes:
    """As `edit_headers` that keeps everything and adds encoded pairs. This runs for every message of a replay: only the flags and what is
    before the table is read. Raises CodecError.
    """
    flags = int.from_bytes(_take(header, 0, 2), "big")
    if flags & _UNKNOWN:
        raise Corrupt(
            f"property flags {flags:#06x} found, no flags but those of the {len(PROPERTIES)} properties expected"
        )
    at = 2
    for flag in _BEFORE_TABLE:
        if flags & flag:
            at += 1 + _take(header, at, 1)[0]
    table = _take(header, at + 4, _u32(header, at)) if flags & _HEADERS else b""
    after = at + 4 + len(table) if flags & _HEADERS else at
    if after > len(header):
        raise Truncated(f"content header of {counted(len(header), 'byte')} found, at least {after} expected")
    size = (len(table) + len(pairs)).to_bytes(4, "big")
    return b"".join(((flags | _HEADERS).to_bytes(2, "big"), header[2:at], size, table, pairs, header[after:]))


def _field(raw: bytes, at: int) -> tuple[RawField, int]:
    """The field that begins at an offset, and where it ends."""
    kind = chr(_take(raw, at, 1)[0])
    start = at + 1
    if kind in _LONG:
        size, start = _u32(raw, start), start + 4
    elif kind in _SIZES:
        size = _SIZES[kind]
    else:
        raise Corrupt(f"field type {kind!r} found, one of RabbitMQ's types expected", at)
    return RawField(kind, _take(raw, start, size)), start + size


def _take(raw: bytes, at: int, size: int) -> bytes:
    found = raw[at : at + size]
    if len(found) < size:
        raise Truncated(f"{counted(len(found), 'byte')} left, {size} expected", at)
    return found


def _u32(raw: bytes, at: int) -> int:
    return int.from_bytes(_take(raw, at, 4), "big")
