"""Encode and decode AMQP 0-9-1 content headers and field tables.

Invariant: `encode_header(decode_header(raw)) == raw` for every header in canonical form. For all other headers only the raw bytes
are exact. Sources: AMQP 0-9-1 sections 4.2.5 and 4.2.6. The field types are those that RabbitMQ reads and writes ("AMQP 0-9-1
Errata", section 3), which differ from the specification.
"""

import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from codec.counted import counted
from codec.errors import Corrupt, TooLarge, Truncated

TABLE_DEPTH_MAX = 100  # RabbitMQ has no limit, but Python's call stack has one
SHORT_MAX = 255

# (name, wire type, flag bit) in wire order: s short string, F table, B octet, T timestamp.
PROPERTIES = (
    ("content_type", "s", 0x8000), ("content_encoding", "s", 0x4000), ("headers", "F", 0x2000),
    ("delivery_mode", "B", 0x1000), ("priority", "B", 0x0800), ("correlation_id", "s", 0x0400),
    ("reply_to", "s", 0x0200), ("expiration", "s", 0x0100), ("message_id", "s", 0x0080),
    ("timestamp", "T", 0x0040), ("type", "s", 0x0020), ("user_id", "s", 0x0010),
    ("app_id", "s", 0x0008), ("cluster_id", "s", 0x0004),
)  # fmt: skip
_UNKNOWN_FLAGS = 0x0003  # bit 1 is unused; bit 0 means that another word of flags follows


class Field(NamedTuple):
    """A typed value of a field table. `kind`: the letter of the type on the wire."""

    kind: str
    value: object


class Decimal(NamedTuple):
    """AMQP decimal: `mantissa / 10 ** scale`."""

    scale: int
    mantissa: int


Table = tuple[tuple[str, Field], ...]  # pairs and not a dict, to keep the order and repeated names

_FIXED = {kind: struct.Struct(">" + form) for kind, form in {
    "t": "?", "b": "b", "B": "B", "s": "h", "u": "H", "I": "i", "i": "I", "l": "q", "f": "f", "d": "d", "T": "Q",
}.items()}  # fmt: skip
_U32 = struct.Struct(">I")
_DECIMAL = struct.Struct(">BI")


def decode_text(raw: bytes) -> str:
    """The text of a string on the wire. Bytes that are not UTF-8 become lone surrogates (PEP 383)."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "surrogateescape")


def encode_text(value: str) -> bytes:
    """The inverse of `decode_text`. If PEP 383 cannot encode the text, its surrogates are encoded as they are (WTF-8)."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


class _Reader:
    """Reads bytes from left to right, never past their end. `shallow`: tables and arrays within a table stay bytes."""

    def __init__(self, raw: bytes, shallow: bool = False) -> None:
        self.raw, self.at, self.shallow = raw, 0, shallow

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.raw):
            raise Truncated(f"{counted(len(self.raw) - self.at, 'byte')} left, {size} expected", self.at)
        piece, self.at = self.raw[self.at : end], end
        return piece

    def fixed(self, form: struct.Struct) -> tuple[int | float | bool, ...]:
        return form.unpack(self.take(form.size))

    def octet(self) -> int:
        return self.take(1)[0]

    def short(self) -> str:
        at, raw = self.at, self.raw
        if at < len(raw) and (end := at + 1 + raw[at]) <= len(raw):
            self.at = end
            return decode_text(raw[at + 1 : end])
        return decode_text(self.take(self.octet()))  # cut short: `take` raises an error with the offset

    def long(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))


def _read_table(reader: _Reader, depth: int) -> Table:
    size = int.from_bytes(reader.take(4), "big")
    inner = _Reader(reader.take(size), reader.shallow)
    return tuple(_pairs(inner, depth))


def _pairs(reader: _Reader, depth: int) -> Iterator[tuple[str, Field]]:
    while reader.at < len(reader.raw):
        yield reader.short(), _read_field(reader, depth)


def _read_array(reader: _Reader, depth: int) -> tuple[Field, ...]:
    inner = _Reader(reader.long())
    fields = []
    while inner.at < len(inner.raw):
        fields.append(_read_field(inner, depth))
    return tuple(fields)


def _read_field(reader: _Reader, depth: int) -> Field:
    if depth > TABLE_DEPTH_MAX:
        raise TooLarge(
            f"tables nested more than {TABLE_DEPTH_MAX} levels deep, at most {TABLE_DEPTH_MAX} allowed", reader.at
        )
    kind = chr(reader.octet())
    if kind in _FIXED:
        return Field(kind, reader.fixed(_FIXED[kind])[0])
    if reader.shallow and kind in ("A", "F"):
        return Field(kind, reader.long())
    if kind in _READERS:
        return Field(kind, _READERS[kind](reader, depth + 1))
    raise Corrupt(f"field type {kind!r} found, one of RabbitMQ's types expected", reader.at - 1)


_READERS: dict[str, Callable[[_Reader, int], object]] = {
    "S": lambda reader, _: reader.long(),
    "x": lambda reader, _: reader.long(),
    "D": lambda reader, _: Decimal(*map(int, reader.fixed(_DECIMAL))),
    "A": _read_array,
    "F": _read_table,
    "V": lambda _reader, _: None,
}


def decode_table(raw: bytes) -> Table:
    """A field table from bytes that begin with its length. Raises CodecError."""
    reader = _Reader(raw)
    table = _read_table(reader, 0)
    _expect_end(reader)
    return table


def _expect_end(reader: _Reader) -> None:
    if reader.at != len(reader.raw):
        raise Corrupt(f"{counted(len(reader.raw) - reader.at, 'byte')} found after the end", reader.at)


def encode_table(table: Table) -> bytes:
    """The inverse of `decode_table`. Raises CodecError if AMQP cannot hold a name or a value."""
    body = b"".join(_encode_short(name) + _encode_field(field) for name, field in table)
    return _U32.pack(len(body)) + body


def _encode_short(value: str) -> bytes:
    raw = encode_text(value)
    if len(raw) > SHORT_MAX:
        raise TooLarge(f"short string of {len(raw)} bytes, at most {SHORT_MAX} allowed")
    return bytes((len(raw),)) + raw


def _encode_long(raw: bytes) -> bytes:
    return _U32.pack(len(raw)) + raw


def _encode_field(field: Field) -> bytes:
    tag = field.kind.encode("latin-1")
    match field:
        case Field("S" | "x" | "A" | "F", bytes(raw)):
            return tag + _encode_long(raw)
        case Field("F", tuple(pairs)):
            return tag + encode_table(pairs)
        case Field("A", tuple(fields)):
            return tag + _encode_long(b"".join(map(_encode_field, fields)))
        case Field("D", Decimal(scale, mantissa)):
            return tag + _DECIMAL.pack(scale, mantissa)
        case Field("V", None):
            return tag
    if field.kind not in _FIXED:
        raise Corrupt(f"field type {field.kind!r} cannot hold a value of type {type(field.value).__name__}")
    try:
        return tag + _FIXED[field.kind].pack(field.value)
    except (struct.error, OverflowError) as error:
        raise TooLarge(f"field type {field.kind!r} cannot hold {field.value!r}") from error


def decode_header(raw: bytes, shallow: bool = False) -> dict[str, object]:
    """The properties of a content header by name, without those that it does not have. Raises CodecError.

    `raw`: the header from its property flags on. `shallow`: tables and arrays within the headers stay bytes, as on the wire after
    their length. So a header of any depth can be decoded.
    """
    reader = _Reader(raw, shallow)
    flags = int.from_bytes(reader.take(2), "big")
    if flags & _UNKNOWN_FLAGS:
        raise Corrupt(f"property flags {flags:#06x} found, no flags but those of the 14 properties expected")
    found = {name: _read_property(reader, kind) for name, kind in _present(flags)}
    _expect_end(reader)
    return found


@cache
def _present(flags: int) -> tuple[tuple[str, str], ...]:
    """Name and wire type of each property that the flags announce."""
    return tuple((name, kind) for name, kind, bit in PROPERTIES if flags & bit)


def _read_property(reader: _Reader, kind: str) -> object:
    if kind == "s":
        return reader.short()
    if kind == "F":
        return _read_table(reader, 0)
    return reader.fixed(_FIXED[kind])[0]


def encode_header(properties: dict[str, object]) -> bytes:
    """The inverse of `decode_header`. Raises CodecError for unknown names and for values that AMQP cannot hold."""
    if unknown := properties.keys() - {name for name, _, _ in PROPERTIES}:
        raise Corrupt(
            f"property {', '.join(sorted(unknown))} found, one of {', '.join(name for name, _, _ in PROPERTIES)} expected"
        )
    flags, parts = 0, []
    for name, kind, bit in PROPERTIES:
        if name in properties:
            flags |= bit
            parts.append(_encode_property(kind, properties[name]))
    return flags.to_bytes(2, "big") + b"".join(parts)


def _encode_property(kind: str, value: object) -> bytes:
    match kind, value:
        case "s", str(short):
            return _encode_short(short)
        case "F", tuple(pairs):
            return encode_table(pairs)
        case (("B" | "T"), int(number)):
            return _encode_field(Field(kind, number))[1:]
    raise Corrupt(f"a property of wire type {kind!r} cannot hold a value of type {type(value).__name__}")


Identity = tuple[str, int | None, str]  # message id, timestamp in seconds since 1970, type
NO_IDENTITY: Identity = ("", None, "")
_IDENTITY_FLAGS = 0x0080 | 0x0040 | 0x0020


def identify(raw: bytes) -> Identity:
    """Message ID, timestamp and type of a header. NO_IDENTITY if the header cannot be decoded.

    This runs for every message. So it skips the other properties without decoding them; the flags show which ones are present.
    """
    if len(raw) < 2:
        return NO_IDENTITY
    flags = raw[0] << 8 | raw[1]
    if not flags & _IDENTITY_FLAGS or flags & _UNKNOWN_FLAGS:
        return NO_IDENTITY
    message_id, timestamp_s, kind, at, size = "", None, "", 2, len(raw)
    for bit, width in _steps(flags):
        if at >= size:
            return NO_IDENTITY
        end = at + (width or (1 + raw[at] if width == 0 else 4 + int.from_bytes(raw[at : at + 4], "big")))
        if end > size:
            return NO_IDENTITY
        if bit == 0x0080:
            message_id = decode_text(raw[at + 1 : end])
        elif bit == 0x0040:
            timestamp_s = int.from_bytes(raw[at:end], "big")
        elif bit == 0x0020:
            kind = decode_text(raw[at + 1 : end])
        at = end
    return message_id, timestamp_s, kind


@cache
def _steps(flags: int) -> tuple[tuple[int, int | None], ...]:
    """Flag bit and width of each present property, up to the last one that `identify` needs.

    The width is in bytes; 0 for a short string, None for a table.
    """
    widths = {"s": 0, "F": None, "B": 1, "T": 8}
    last = min(bit for bit in (0x0080, 0x0040, 0x0020) if flags & bit)
    return tuple((bit, widths[kind]) for _, kind, bit in PROPERTIES if flags & bit and bit >= last)
