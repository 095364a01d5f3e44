"""KVP records: fixed pairs of a 512-byte key and a 2,048-byte value, as the Hyper-V data exchange keeps them in its pools.

Role: an event becomes one record or several slices, and records become events again. Invariants: a key is unique and
never cut; each value is JSON of its own; slices end between whole characters and whole escapes, so that their `msg`
texts joined, and their escaped texts joined and then decoded, both give the original. In profile `wire`, an id that the
key holds as it is, and a time of arrival that is the event's time, are not repeated in the value.
Sources: FORMAT.md "Records"; linux/tools/hv/hv_kvp_daemon.c and drivers/hv/hv_kvp.c for the limits of the host.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

import orjson

from codec.errors import CodecError, Corrupt, TooLarge, Truncated
from codec.event import Event, check_duplicate, format_time, parse_time
from codec.joining import Body, Members, decode_body, loads
from codec.keys import key_field, looks_shortened
from codec.limits import check_event
from codec.profiles import HOST, KEY_BYTES, PREFIX, RECORD_BYTES, SLICES_MAX, VALUE_BYTES, WIRE, Profile
from codec.slices import cut, quote

__all__ = ["HOST", "RECORD_BYTES", "WIRE", "Profile", "decode", "encode", "encode_batch", "records"]


def _quoted_body(body: bytes, ascii_only: bool = False) -> tuple[bytes, bytes]:
    """The `encoding` member, empty for text, and the body as a JSON string."""
    try:
        quoted = quote(body.decode(), ascii_only)
        if len(quoted) <= 2 * len(body) + 64:
            return b"", quoted
    except UnicodeDecodeError:
        pass
    # Not text, or text of control characters, of which escapes would make six times as much.
    return b',"encoding":"base64"', b'"%b"' % b64encode(body)


def encode(event: Event, incarnation: str, profile: Profile = WIRE) -> list[bytes]:
    """The records of an event, 2,560 bytes each.

    `incarnation` must differ from event to event: it makes the keys unique. Raises TooLarge when the event needs more
    slices than the profile allows, or when a time is outside of the years 1 to 9999; Corrupt when `duplicate` is no position.
    """
    ascii_only = profile.ascii_only
    limits = profile.field_units
    key = (
        f"{PREFIX}|{key_field(incarnation, limits[0], ascii_only)}"
        f"|{key_field(event.type, limits[1], ascii_only)}|{key_field(event.id, limits[2], ascii_only)}|"
    ).encode()
    encoding, quoted = _quoted_body(event.body, ascii_only)
    envelope = b"{%b%b%b%b%b%b%b" % (
        b"" if _in_key(event.id, profile) else b'"name":%b,' % quote(event.id, ascii_only),
        _front(event.type, ascii_only),
        format_time(event.time_us).encode(),
        _origin(_arrived(event, profile), event.exchange, event.routing_key, ascii_only),
        quote(event.header.decode("latin-1"), ascii_only),
        _marks(event, ascii_only),
        encoding,
    )
    if len(envelope) + len(quoted) + _MSG_BYTES <= profile.value_units:
        return [_record(key + b"0", b'%b,"msg":%b}' % (envelope, quoted))]
    return [_record(*pair) for pair in _slices(event, key, envelope, encoding, quoted, profile)]


_MSG_BYTES = len(b',"msg":}')


def encode_batch(events: Iterable[Event], archive: str, first: int) -> list[bytes]:
    """Pieces that joined are the records of the events in profile `wire`, numbered from `first` on.

    The same bytes as those of `encode`, in half of the time: most events are plain and take one record each, and types,
    origins and times repeat within a batch. Raises TooLarge as `encode` does.
    """
    pieces: list[bytes] = []
    head = f"{PREFIX}|{archive}.".encode()
    kinds: dict[str, tuple[bytes, bytes]] = {}
    origins: dict[tuple[int | None, str, str], bytes] = {}
    stamps: dict[int, bytes] = {}
    dumps, search = orjson.dumps, _KEY_SPECIAL.search
    for ordinal, event in enumerate(events, first):
        name, kind, time_us, arrived_us, exchange, routing_key, header, body, redelivered, duplicate, tags = event
        quoted = quote(name)
        plain = len(quoted) == len(name) + 2 <= _PLAIN_ID_MAX and not search(quoted)
        if not plain or redelivered or duplicate or tags:
            pieces += encode(event, f"{archive}.{ordinal}")
            continue
        key_type, front = kinds.get(kind) or kinds.setdefault(kind, (key_field(kind, _TYPE_MAX).encode(), _front(kind)))
        arrived = None if arrived_us == time_us else arrived_us
        origin = origins.get((arrived, exchange, routing_key))
        if origin is None:
            origin = origins[arrived, exchange, routing_key] = _origin(arrived, exchange, routing_key)
        stamp = stamps.get(time_us) or stamps.setdefault(time_us, format_time(time_us).encode())
        encoding, text = _quoted_body(body)
        envelope = b"{%b%b%b%b%b" % (front, stamp, origin, dumps(header.decode("latin-1")), encoding)
        key = b"%b%d|%b|%b|" % (head, ordinal, key_type, quoted[1:-1])
        if len(envelope) + len(text) + _MSG_BYTES < VALUE_BYTES:
            value = b'%b,"msg":%b}' % (envelope, text)
            pieces += (key, _ZERO_SLICE[KEY_BYTES - len(key)], value, _ZEROS[VALUE_BYTES - len(value)])
            continue
        for slice_key, value in _slices(event, key, envelope, encoding, text, WIRE):
            pieces += (slice_key, _ZEROS[KEY_BYTES - len(slice_key)], value, _ZEROS[VALUE_BYTES - len(value)])
    return pieces


# What `json` reads in every version of Python; where it stops reading depends on the version.
_TYPE_MAX, _PLAIN_ID_MAX = WIRE.field_units[1:]
_KEY_SPECIAL = re.compile(rb"[|%\x7f~]")  # what JSON leaves as it is and a key may not
_ZEROS = [bytes(size) for size in range(VALUE_BYTES + 1)]  # 2 MB: a slice of one long piece would copy it every time
_ZERO_SLICE = [b"0" + bytes(size)[1:] for size in range(KEY_BYTES + 1)]  # the only slice, and the padding of its key


def _in_key(id: str, profile: Profile) -> bool:
    """Whether the value leaves the id out, because the key holds it as it is, and a reader can tell that it is not shortened."""
    whole = profile.compact and key_field(id, profile.field_units[2], profile.ascii_only) == id
    return whole and not looks_shortened(id)


def _arrived(event: Event, profile: Profile) -> int | None:
    """The time of arrival; None if the value leaves it out, because it is the event's time."""
    return None if profile.compact and event.arrived_us == event.time_us else event.arrived_us


def _front(kind: str, ascii_only: bool = False) -> bytes:
    """From the type to the event's time."""
    return b'"type":%b,"ts":"' % quote(kind, ascii_only)


def _origin(arrived_us: int | None, exchange: str, routing_key: str, ascii_only: bool = False) -> bytes:
    """From the event's time to its header. All deliveries of one read from the socket share their time of arrival."""
    arrived = b"" if arrived_us is None else b'"arrived":"%b",' % format_time(arrived_us).encode()
    names = quote(exchange, ascii_only), quote(routing_key, ascii_only)
    return b'",%b"exchange":%b,"routing_key":%b,"header":' % (arrived, *names)


def _marks(event: Event, ascii_only: bool) -> bytes:
    redelivered = b',"redelivered":true' if event.redelivered else b""
    duplicate = b',"duplicate":"%b"' % check_duplicate(event.duplicate).encode() if event.duplicate else b""
    return redelivered + duplicate + (b',"tags":' + _tags(event, ascii_only) if event.tags else b"")


def _tags(event: Event, ascii_only: bool) -> bytes:
    return b"[" + b",".join(quote(tag, ascii_only) for tag in event.tags) + b"]"


def _record(key: bytes, value: bytes) -> bytes:
    return key.ljust(KEY_BYTES, b"\0") + value.ljust(VALUE_BYTES, b"\0")


def _slices(
    event: Event, key: bytes, envelope: bytes, encoding: bytes, quoted: bytes, profile: Profile
) -> list[tuple[bytes, bytes]]:
    """Keys and values of an event that is too large for one: the body first, then the members too long to stand inline."""
    check_event(event)
    spilled: list[tuple[bytes, bytes]] = []
    if len(envelope) > profile.value_units // 2:
        envelope, spilled = _envelope(event, encoding, profile)
    room = profile.value_units - len(envelope) - len(b',"msg_n":9999999,"msg_i":0,"msg":""}')
    rest = profile.value_units - len(b'{"msg_i":9999999,"msg":""}')
    pieces = [(b"", piece) for piece in cut(quoted[1:-1], room, rest, whole=4 if encoding else 1)]
    for name, escaped in spilled:
        narrow = rest - len(b'"of":"routing_key",')
        pieces += [(b'"of":"%b",' % name, piece) for piece in cut(escaped, narrow, narrow)]
    if len(pieces) > profile.slices_max:
        raise TooLarge(f"event needs {len(pieces)} slices, {profile.slices_max} at most in profile {profile.name}")
    first = b'%b,"msg_n":%d,"msg_i":0,"msg":"%b"}' % (envelope, len(pieces), pieces[0][1])
    others = [
        (b"%b%d" % (key, index), b'{%b"msg_i":%d,"msg":"%b"}' % (part, index, piece))
        for index, (part, piece) in enumerate(pieces[1:], 1)
    ]
    return [(key + b"0", first), *others]


def _envelope(event: Event, encoding: bytes, profile: Profile) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The members of the first slice but `msg`, open at the end; and (name, escaped text) of those that are too long."""
    ascii_only = profile.ascii_only
    texts = [(b"type", event.type), (b"exchange", event.exchange),
             (b"routing_key", event.routing_key), (b"header", event.header.decode("latin-1"))]  # fmt: skip
    if not _in_key(event.id, profile):
        texts.insert(0, (b"name", event.id))
    members, spilled = [b'"ts":"%b"' % format_time(event.time_us).encode()], []
    if (arrived_us := _arrived(event, profile)) is not None:
        members.append(b'"arrived":"%b"' % format_time(arrived_us).encode())
    for name, value in texts:
        quoted = quote(value, ascii_only)
        if len(quoted) - 2 > profile.inline_units:
            spilled.append((name, quoted[1:-1]))
        else:
            members.append(b'"%b":%b' % (name, quoted))
    tags = _tags(event, ascii_only)
    if len(tags) > profile.inline_units:
        spilled.append((b"tags", quote(tags.decode(), ascii_only)[1:-1]))
        event = event._replace(tags=())
    return b"{" + b",".join(members) + _marks(event, ascii_only) + encoding, spilled


def records(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each record, without their padding. Raises Truncated and Corrupt with the offset."""
    find, zeros_at, zeros = raw.find, raw.startswith, _ZEROS
    for at in range(0, len(raw), RECORD_BYTES):
        middle, after = at + KEY_BYTES, at + RECORD_BYTES
        if after > len(raw):
            raise Truncated(f"record of {len(raw) - at} bytes, {RECORD_BYTES} expected", at)
        # A text of full length has no NUL, as the C string that the host takes it for would need.
        key_end, value_end = find(b"\0", at, middle), find(b"\0", middle, after)
        key_end, value_end = middle if key_end < 0 else key_end, after if value_end < 0 else value_end
        if key_end == at:
            raise Corrupt("record with an empty key", at)
        if not zeros_at(zeros[middle - key_end], key_end) or not zeros_at(zeros[after - value_end], value_end):
            raise Corrupt("record with a NUL inside", at)
        yield raw[at:key_end], raw[middle:value_end]


def decode(raw: bytes) -> Iterator[Event]:
    """The events of whole records, in order. Raises CodecError with the offset of the record that is wrong."""
    return decode_pieces((raw,))


def decode_pieces(pieces: Iterable[bytes]) -> Iterator[Event]:
    """The same of records that come in pieces of whole records. Memory is bounded by a piece and an event."""
    stream = enumerate(chain.from_iterable(map(records, pieces)))
    for index, (key, value) in stream:
        try:
            members = loads(value)
            if "msg_i" in members:
                yield _joined(members, key, (pair for _, pair in stream))
            else:
                msg = members["msg"]
                if isinstance(msg, str) and "encoding" not in members:
                    body = msg.encode()  # the common case, without another call
                else:
                    body = decode_body(msg, members.get("encoding"))
                yield _event(members, key, body)
        except CodecError as error:
            raise type(error)(error.reason, index * RECORD_BYTES) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Corrupt(f"record is not an event: {type(error).__name__}: {error}", index * RECORD_BYTES) from error


def _joined(first: dict[str, object], key: bytes, stream: Iterable[tuple[bytes, bytes]]) -> Event:
    """An event whose other slices follow in the stream."""
    count, base = first.get("msg_n"), key.removesuffix(b"0")
    if first["msg_i"] != 0 or type(count) is not int:
        raise Corrupt(f"slice {first['msg_i']} of {count!r} where the first one is expected")
    if count > SLICES_MAX:
        raise TooLarge(f"event of {count} slices, {SLICES_MAX} at most")
    body, others = Body(first.get("encoding")), Members()
    body.add(_str(first["msg"]))
    index = 0
    for index, (next_key, value) in zip(range(1, count), stream, strict=False):
        if next_key != b"%b%d" % (base, index):
            raise Corrupt(f"key {next_key!r} where slice {index} of {key!r} is expected")
        members = loads(value)
        if "of" in members:
            others.add(_str(members["of"]), _str(members["msg"]))
        else:
            body.add(_str(members["msg"]))
    if index != count - 1:
        raise Truncated(f"{index + 1} of {count} slices")
    return _event(first | others.joined(), key, body.joined())


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise Corrupt(f"{type(value).__name__} where text is expected")
    return value


_KEY_FIELDS = 5
_parse_time = lru_cache(maxsize=4096)(parse_time)  # arrivals are shared by many, and often are the event's time too
_new_event = tuple.__new__


def _id_in(key: bytes) -> str:
    """The id in a key, which is the event's id if the value has none. Raises Corrupt."""
    fields = key.decode().split("|")
    if len(fields) != _KEY_FIELDS or "%" in fields[3] or looks_shortened(fields[3]):
        raise Corrupt(f"neither the value nor the key {key!r} holds the id")
    return fields[3]


def _event(members: dict[str, object], key: bytes, body: bytes) -> Event:
    name = members["name"] if "name" in members else _id_in(key)
    kind, exchange, routing_key, ts = members["type"], members["exchange"], members["routing_key"], members["ts"]
    header, tags = members["header"], members.get("tags", ())
    texts = type(name) is type(kind) is type(exchange) is type(routing_key) is type(header) is type(ts) is str
    if not texts or not isinstance(header, str) or not isinstance(ts, str):
        raise Corrupt("a member that should be text is not")
    time_us = _parse_time(ts)
    return _new_event(
        Event,
        (
            name, kind, time_us, _parse_time(_str(members["arrived"])) if "arrived" in members else time_us,
            exchange, routing_key, header.encode("latin-1"), body, members.get("redelivered") is True,
            check_duplicate(members["duplicate"]) if "duplicate" in members else "",
            tuple(map(_str, tags)) if isinstance(tags, list) else (),
        ),
    )  # fmt: skip
