"""Events of cloud-init in a Hyper-V pool file: 2,560-byte records whose keys have one of five forms.

    CLOUD_INIT|<incarnation>|<type>|<name>                        all slices of an event have the same key
    CLOUD_INIT|<incarnation>|<type>|<name>|<uuid>                 the same
    CLOUD_INIT|<incarnation>|<type>|<name>|<uuid>|<slice>         from 2020 to version 22.4
    CLOUD_INIT|<incarnation>|<type>|<name>|<vm id>|<uuid>|<slice> since version 22.4
    any other key                                                 one record, whose value is the body

Invariants: slices are joined as escaped text before they are decoded, because cloud-init cuts within escapes and surrogate
pairs. An invalid record makes no other record unreadable, and records that follow a torn one at another alignment are found.
Source: cloud-init, reporting/handlers.py and sources/helpers/azure.py.
"""

import json
import re
import zlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from codec.counted import counted
from codec.errors import CodecError, Corrupt, TooLarge, Truncated
from codec.event import parse_time
from codec.foreign.resync import SearchableBytes, gap
from codec.gap import Gap, GapKind
from codec.limits import UNPACKED_BYTES_MAX
from codec.profiles import KEY_BYTES, RECORD_BYTES, VALUE_BYTES
from codec.slices import cut, quote

PREFIX = "CLOUD_INIT"
COMPRESSED = "compressed"
SLICES_MAX = UNPACKED_BYTES_MAX // VALUE_BYTES
VALUE_UNITS = 1022  # the host keeps no more of a value; a longer one would lose its closing brace
_KEY_START = f"{PREFIX}|".encode()
_MSG = b'"msg":"'
_SLICE = re.compile(r"(?P<base>.*)\|(?P<slice>\d+)", re.DOTALL)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Record(NamedTuple):
    """An event. `body`: its description, decompressed if necessary. `fields`: the other members of its values."""

    offset: int
    key: str
    body: bytes
    fields: dict[str, str]
    time_us: int | None

    @property
    def id(self) -> str:
        """The UUID at the end of the key; the whole key if there is none."""
        return id_of(self.key)


def id_of(key: str) -> str:
    """The ID of the event with this key: the UUID at its end; the whole key if there is none."""
    last = key.rsplit("|", 1)[-1]
    return last if _UUID.fullmatch(last) else key


class _KeyValue(NamedTuple):
    offset: int
    key: str
    value: bytes


def decode(raw: SearchableBytes) -> Iterator[Record | Gap]:
    """All events of a file, and the gaps between them."""
    slices: list[_KeyValue] = []
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


def _pairs(raw: SearchableBytes) -> Iterator[_KeyValue | Gap]:
    at = 0
    while at < len(raw):
        try:
            yield _pair(raw, at)
            at += RECORD_BYTES
        except (Corrupt, Truncated) as fault:
            after = _next(raw, at + 1)
            yield gap(at, after, len(raw), fault.reason)
            at = len(raw) if after is None else after


def _pair(raw: SearchableBytes, at: int) -> _KeyValue:
    """Key and value of the record at an offset. Raises Corrupt and Truncated."""
    record = raw[at : at + RECORD_BYTES]
    if len(record) < RECORD_BYTES:
        raise Truncated(f"record of {counted(len(record), 'byte')} found, {RECORD_BYTES} expected", at)
    key, value = record[:KEY_BYTES].rstrip(b"\0"), record[KEY_BYTES:].rstrip(b"\0")
    if not key or b"\0" in key or b"\0" in value:
        raise Corrupt("record with an empty key, or with a NUL within its key or value, found", at)
    return _KeyValue(at, key.decode("utf-8", "surrogateescape"), value)


def _next(raw: SearchableBytes, at: int) -> int | None:
    """The offset of the next whole record: aligned to the records before, or at cloud-init's prefix after a torn record."""
    base = at - 1  # an earlier torn record may have changed the alignment
    while at < len(raw):
        edge = base + -(-(at - base) // RECORD_BYTES) * RECORD_BYTES
        candidate = at - 1
        while (candidate := raw.find(_KEY_START, candidate + 1, edge + len(_KEY_START) - 1)) >= 0:
            if _is_whole(raw, candidate):
                return candidate
        if edge < len(raw) and _is_whole(raw, edge):
            return edge
        at = edge + 1
    return None


def _is_whole(raw: SearchableBytes, at: int) -> bool:
    try:
        _pair(raw, at)
    except (Corrupt, Truncated):
        return False
    return True


def _slice_number(value: bytes) -> int | None:
    """The `msg_i` of a slice; None if the value is not a slice."""
    head, found, _ = value.partition(_MSG)
    match = re.search(rb'"msg_i":(\d{1,9}),$', head) if found else None
    return int(match[1]) if match else None


def _base(key: str, number: int | None) -> str:
    """The key without the number of the slice at its end."""
    match = _SLICE.fullmatch(key) if number is not None and key.startswith(f"{PREFIX}|") else None
    return match["base"] if match and match["slice"] == str(number) and key.count("|") > 4 else key


def _follows(slices: list[_KeyValue], pair: _KeyValue, number: int | None) -> bool:
    """Whether a record is the next slice of the event to which `slices` belong. `number`: its slice number, or None."""
    if not slices or number is None:
        return not slices
    before = _slice_number(slices[-1].value)
    if len(slices) == SLICES_MAX:
        return False
    same = _base(slices[-1].key, before) == _base(pair.key, number)
    return same and before is not None and number == before + 1


def _joined(slices: list[_KeyValue]) -> Iterator[Record | Gap]:
    """The event to which the slices belong, or a gap if they are not a whole event."""
    if not slices:
        return
    first = slices[0]
    number = _slice_number(first.value)
    try:
        if len(slices) == SLICES_MAX:
            raise TooLarge(f"event of {SLICES_MAX} slices or more, at most {SLICES_MAX - 1} allowed", first.offset)
        if number:
            raise Corrupt(f"slice {number} found, slice 0 of its event expected", first.offset)
        yield _record(first, _base(first.key, number), slices)
        if len(slices) > 1 and len(slices[-1].value) == len(first.value):
            reason = "the last slice of the event is full, so a further slice may be missing"
            yield Gap(slices[-1].offset + RECORD_BYTES, 0, GapKind.DAMAGED, reason)
    except CodecError as fault:
        yield Gap(first.offset, RECORD_BYTES * len(slices), GapKind.DAMAGED, fault.reason)


def _record(first: _KeyValue, key: str, slices: list[_KeyValue]) -> Record:
    if not key.startswith(f"{PREFIX}|") or _MSG not in first.value:
        return Record(first.offset, key, first.value, {}, None)
    heads, fragments = zip(*(_cut_open(pair.value) for pair in slices), strict=True)
    body = _loads(b'"' + b"".join(fragments) + b'"', first.offset)
    fields = _loads(heads[0] + b"}", first.offset)
    if not isinstance(fields, dict) or not isinstance(body, str):
        raise Corrupt("value found that is not a JSON object with text in `msg`", first.offset)
    named = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in fields.items()
        if name != "msg_i"
    }
    return Record(first.offset, key, _plain(body, named), named, _time_us(named.get("ts")))


def _cut_open(value: bytes) -> tuple[bytes, bytes]:
    """The members before `msg`, which is always last, and the escaped text of `msg`."""
    head, _, text = value.partition(_MSG)
    return head.rstrip(b","), text.removesuffix(b'"}')


def _loads(raw: bytes, offset: int) -> object:
    try:
        return json.loads(raw, strict=False)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"joined slices are not JSON: {error}", offset) from error


def _plain(body: str, fields: dict[str, str]) -> bytes:
    """The description of an event as bytes; if the event is compressed, its decompressed content."""
    if fields.get("type") == COMPRESSED:
        try:
            inner = json.loads(body)
            return _unpacked(b64decode(inner["data"]))
        except (ValueError, TypeError, KeyError, RecursionError, zlib.error, Base64Error):
            pass  # the type is that of a compressed event, but the content is not compressed: keep it
    return body.encode("utf-8", "surrogatepass")


def _unpacked(packed: bytes) -> bytes:
    """The decompressed bytes. Raises TooLarge and zlib.error."""
    unpacker = zlib.decompressobj(47)  # accepts zlib and gzip
    body = unpacker.decompress(packed, UNPACKED_BYTES_MAX + 1)
    if len(body) > UNPACKED_BYTES_MAX:
        limit = UNPACKED_BYTES_MAX
        raise TooLarge(f"compressed event of more than {limit} bytes after decompression, at most {limit} allowed")
    return body


def _time_us(text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except CodecError:
        return None


def encode(key: str, fields: Mapping[str, object], body: str) -> list[bytes]:
    """The records of an event, as cloud-init writes them: the slice number ends the key, and `msg` is the last member.

    Each value is valid JSON. `fields`: the other members. Raises Corrupt if the fields leave no room for the body.
    """
    head = json.dumps(fields, separators=(",", ":"))[:-1].encode()
    escaped = quote(body, ascii_only=True)[1:-1]
    if len(head) + len(b',"msg":""}') + len(escaped) <= VALUE_UNITS:
        return [_encode(key, b'%b,"msg":"%b"}' % (head, escaped))]
    room = VALUE_UNITS - len(head) - len(b',"msg_i":9999999,"msg":""}')
    if room < 64:
        raise Corrupt(f"name, type and result of {len(head)} bytes, at most {len(head) + room - 64} allowed in a value")
    return [
        _encode(f"{key}|{number}", b'%b,"msg_i":%d,"msg":"%b"}' % (head, number, piece))
        for number, piece in enumerate(cut(escaped, room, room))
    ]


def encode_pair(key: str, value: bytes) -> bytes:
    """A record with this key and value. Raises Corrupt if a record cannot hold them."""
    if len(value) >= VALUE_BYTES or b"\0" in value:
        raise Corrupt(f"value of {counted(len(value), 'byte')} found, at most {VALUE_BYTES - 1} without NUL expected")
    return _encode(key, value)


def _encode(key: str, value: bytes) -> bytes:
    try:
        raw = key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise Corrupt(f"key {key!r:.99} found, a key without lone surrogates expected") from error
    if not 0 < len(raw) < KEY_BYTES or b"\0" in raw:
        raise Corrupt(f"key of {counted(len(raw), 'byte')} found, 1 to {KEY_BYTES - 1} without NUL expected")
    return raw.ljust(KEY_BYTES, b"\0") + value.ljust(VALUE_BYTES, b"\0")
