"""Cloud-init's events in a Hyper-V pool file: 2,560-byte records whose keys have one of five shapes.

    CLOUD_INIT|<incarnation>|<type>|<name>                        all slices of an event share the key
    CLOUD_INIT|<incarnation>|<type>|<name>|<uuid>                 the same
    CLOUD_INIT|<incarnation>|<type>|<name>|<uuid>|<slice>         2020 to 22.4
    CLOUD_INIT|<incarnation>|<type>|<name>|<vm id>|<uuid>|<slice> since
    anything else                                                 a key of its own with a plain value

Invariants: slices are joined as escaped text before they are decoded, because cloud-init cuts through escapes and
surrogate pairs; a record that is no record costs itself only, and what is shifted by a torn one is found again.
Source: cloud-init, reporting/handlers.py and sources/helpers/azure.py.
"""

import json
import re
import zlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from codec.errors import CodecError, Corrupt, TooLarge, Truncated
from codec.event import parse_time
from codec.foreign.resync import Raw, gap
from codec.gap import Gap, GapKind
from codec.limits import UNPACKED_BYTES_MAX
from codec.profiles import KEY_BYTES, RECORD_BYTES, VALUE_BYTES
from codec.slices import cut, quote

PREFIX = "CLOUD_INIT"
COMPRESSED = "compressed"
SLICES_MAX = UNPACKED_BYTES_MAX // VALUE_BYTES
VALUE_UNITS = 1022  # what the host sees of a value; one more than it keeps would lose the closing brace
_MARK = f"{PREFIX}|".encode()
_MSG = b'"msg":"'
_SLICE = re.compile(r"(?P<base>.*)\|(?P<slice>\d+)", re.DOTALL)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Record(NamedTuple):
    """An event. `body` is its description, decompressed where it was compressed; `fields` is what else its values held."""

    offset: int
    key: str
    body: bytes
    fields: dict[str, str]
    time_us: int | None

    @property
    def id(self) -> str:
        """The uuid of the key, if it has one; else the key."""
        return id_of(self.key)


def id_of(key: str) -> str:
    """The id that a reader finds in a key: its uuid, if it ends with one; else the whole key."""
    last = key.rsplit("|", 1)[-1]
    return last if _UUID.fullmatch(last) else key


class _Pair(NamedTuple):
    offset: int
    key: str
    value: bytes


def read(raw: Raw) -> Iterator[Record | Gap]:
    """All events, and the gaps between them."""
    slices: list[_Pair] = []
    for found in _pairs(raw):
        if isinstance(found, Gap):
            yield from _joined(slices)
            slices = []
            yield found
            continue
        number = _slice_number(found.value)
        if not _follows(slices, found, number):
            yield from _joined(slices)
            slices = []
        slices.append(found)
        if number is None:
            yield from _joined(slices)
            slices = []
    yield from _joined(slices)


def _pairs(raw: Raw) -> Iterator[_Pair | Gap]:
    at = 0
    while at < len(raw):
        try:
            yield _pair(raw, at)
            at += RECORD_BYTES
        except (Corrupt, Truncated) as fault:
            after = _next(raw, at + 1)
            yield gap(at, after, len(raw), fault.reason)
            at = len(raw) if after is None else after


def _pair(raw: Raw, at: int) -> _Pair:
    """Key and value at `at`. Raises Corrupt and Truncated."""
    record = raw[at : at + RECORD_BYTES]
    if len(record) < RECORD_BYTES:
        raise Truncated(f"record of {len(record)} bytes, {RECORD_BYTES} expected", at)
    key, value = record[:KEY_BYTES].rstrip(b"\0"), record[KEY_BYTES:].rstrip(b"\0")
    if not key or b"\0" in key or b"\0" in value:
        raise Corrupt("record with an empty key, or with a NUL inside", at)
    return _Pair(at, key.decode("utf-8", "surrogateescape"), value)


def _next(raw: Raw, at: int) -> int | None:
    """The next record: aligned as the file should be, or where cloud-init's prefix stands behind a torn record."""
    base = at - 1  # the grid of records may have been shifted by a torn one before
    while at < len(raw):
        edge = base + -(-(at - base) // RECORD_BYTES) * RECORD_BYTES
        place = at - 1
        while (place := raw.find(_MARK, place + 1, edge + len(_MARK) - 1)) >= 0:
            if _is_whole(raw, place):
                return place
        if edge < len(raw) and _is_whole(raw, edge):
            return edge
        at = edge + 1
    return None


def _is_whole(raw: Raw, at: int) -> bool:
    try:
        _pair(raw, at)
    except (Corrupt, Truncated):
        return False
    return True


def _slice_number(value: bytes) -> int | None:
    """The `msg_i` of a slice; None for a value that is whole by itself."""
    head, found, _ = value.partition(_MSG)
    match = re.search(rb'"msg_i":(\d{1,9}),$', head) if found else None
    return int(match[1]) if match else None


def _base(key: str, number: int | None) -> str:
    """The key without the number of the slice, if it has one."""
    match = _SLICE.fullmatch(key) if number is not None and key.startswith(f"{PREFIX}|") else None
    return match["base"] if match and match["slice"] == str(number) and key.count("|") > 4 else key


def _follows(slices: list[_Pair], pair: _Pair, number: int | None) -> bool:
    if not slices or number is None:
        return not slices
    before = _slice_number(slices[-1].value)
    if len(slices) == SLICES_MAX:
        return False
    same = _base(slices[-1].key, before) == _base(pair.key, number)
    return same and before is not None and number == before + 1


def _joined(slices: list[_Pair]) -> Iterator[Record | Gap]:
    """The event of its slices, or why it is none."""
    if not slices:
        return
    first = slices[0]
    number = _slice_number(first.value)
    try:
        if len(slices) == SLICES_MAX:
            raise TooLarge(f"event of {SLICES_MAX} slices or more", first.offset)
        if number:
            raise Corrupt(f"slices from {number} on; the ones before are missing", first.offset)
        yield _record(first, _base(first.key, number), slices)
        if len(slices) > 1 and len(slices[-1].value) == len(first.value):
            yield Gap(
                slices[-1].offset + RECORD_BYTES,
                0,
                GapKind.DAMAGED,
                "the last slice is full; one may be missing behind it",
            )
    except CodecError as fault:
        yield Gap(first.offset, RECORD_BYTES * len(slices), GapKind.DAMAGED, fault.reason)


def _record(first: _Pair, key: str, slices: list[_Pair]) -> Record:
    if not key.startswith(f"{PREFIX}|") or _MSG not in first.value:
        return Record(first.offset, key, first.value, {}, None)
    heads, fragments = zip(*(_cut_open(pair.value) for pair in slices), strict=True)
    body = _loads(b'"' + b"".join(fragments) + b'"', first.offset)
    fields = _loads(heads[0] + b"}", first.offset)
    if not isinstance(fields, dict) or not isinstance(body, str):
        raise Corrupt("value is no JSON object with a text", first.offset)
    named = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in fields.items()
        if name != "msg_i"
    }
    return Record(first.offset, key, _plain(body, named), named, _time_us(named.get("ts")))


def _cut_open(value: bytes) -> tuple[bytes, bytes]:
    """What stands before `msg`, which is always last, and its escaped text."""
    head, _, rest = value.partition(_MSG)
    return head.rstrip(b","), rest.removesuffix(b'"}')


def _loads(raw: bytes, offset: int) -> object:
    try:
        return json.loads(raw, strict=False)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"slices do not join to JSON: {error}", offset) from error


def _plain(body: str, fields: dict[str, str]) -> bytes:
    """The description; of a compressed event what was compressed."""
    if fields.get("type") == COMPRESSED:
        try:
            inner = json.loads(body)
            return _unpacked(b64decode(inner["data"]))
        except (ValueError, TypeError, KeyError, RecursionError, zlib.error, Base64Error):
            pass  # a type of that name, and not that content: what stands there is the body
    return body.encode("utf-8", "surrogatepass")


def _unpacked(packed: bytes) -> bytes:
    """Raises TooLarge, and zlib.error."""
    unpacker = zlib.decompressobj(47)  # zlib or gzip, as the data says
    body = unpacker.decompress(packed, UNPACKED_BYTES_MAX + 1)
    if len(body) > UNPACKED_BYTES_MAX:
        raise TooLarge(f"compressed event of more than {UNPACKED_BYTES_MAX} bytes")
    return body


def _time_us(text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except CodecError:
        return None


def write(key: str, fields: Mapping[str, object], body: str) -> list[bytes]:
    """Records of an event as cloud-init writes them: the key with the slice behind it, `msg` last; each slice is JSON of its own.

    Raises Corrupt when the fields leave no room for the text.
    """
    head = json.dumps(fields, separators=(",", ":"))[:-1].encode()
    escaped = quote(body, ascii_only=True)[1:-1]
    if len(head) + len(b',"msg":""}') + len(escaped) <= VALUE_UNITS:
        return [_encode(key, b'%b,"msg":"%b"}' % (head, escaped))]
    room = VALUE_UNITS - len(head) - len(b',"msg_i":9999999,"msg":""}')
    if room < 64:
        raise Corrupt(f"name, type and result of {len(head)} bytes leave no room in {VALUE_UNITS}")
    return [
        _encode(f"{key}|{number}", b'%b,"msg_i":%d,"msg":"%b"}' % (head, number, piece))
        for number, piece in enumerate(cut(escaped, room, room))
    ]


def pair(key: str, value: bytes) -> bytes:
    """A record of any key and value. Raises Corrupt for what a record cannot hold."""
    if len(value) >= VALUE_BYTES or b"\0" in value:
        raise Corrupt(f"value of {len(value)} bytes, {VALUE_BYTES - 1} without NUL at most")
    return _encode(key, value)


def _encode(key: str, value: bytes) -> bytes:
    try:
        raw = key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise Corrupt(f"key {key!r:.99} holds a lone surrogate that is no byte") from error
    if not 0 < len(raw) < KEY_BYTES or b"\0" in raw:
        raise Corrupt(f"key of {len(raw)} bytes, 1 to {KEY_BYTES - 1} without NUL expected")
    return raw.ljust(KEY_BYTES, b"\0") + value.ljust(VALUE_BYTES, b"\0")
