"""Encode events as KVP records, and decode them: pairs of a 512-byte key and a 2,048-byte value, as in Hyper-V's pools.

An event becomes one record, or several slices. Invariants: a key is unique and never cut. Each value is valid JSON. Slices end
between whole characters and whole escapes, so joining the `msg` texts before decoding and joining them after decoding give the
same body. In profile `wire`, the value does not repeat an ID that the key holds unchanged, nor an arrival time that equals the
event time. Sources: FORMAT.md "Records"; linux/tools/hv/hv_kvp_daemon.c and drivers/hv/hv_kvp.c for the limits of the host.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

import orjson

from codec.counted import counted
from codec.errors import CodecError, Corrupt, TooLarge, Truncated
from codec.event import Event, check_duplicate, format_time, parse_time
from codec.joining import Body, Members, decode_body, loads
from codec.keys import key_field, looks_shortened
from codec.limits import check_event
from codec.members import arrival, flags_and_tags, id_in_key, origin_members, quoted_body, tags_json, type_and_time
from codec.profiles import HOST, KEY_BYTES, PREFIX, RECORD_BYTES, SLICES_MAX, VALUE_BYTES, WIRE, Profile
from codec.slices import cut, quote

__all__ = ["HOST", "RECORD_BYTES", "WIRE", "Profile", "decode", "encode", "encode_batch", "records"]


def encode(event: Event, incarnation: str, profile: Profile = WIRE) -> list[bytes]:
    """The records of an event, 2,560 bytes each.

    `incarnation`: archive and number of the event. It must differ for each event, because it makes the keys unique. Raises TooLarge
    if the event needs more slices than the profile allows, or if a time is outside the years 1 to 9999. Raises Corrupt if `duplicate` is
    not a position.
    """
    ascii_only = profile.ascii_only
    limits = profile.field_units
    key = (
        f"{PREFIX}|{key_field(incarnation, limits[0], ascii_only)}"
        f"|{key_field(event.type, limits[1], ascii_only)}|{key_field(event.id, limits[2], ascii_only)}|"
    ).encode()
    encoding, quoted = quoted_body(event.body, ascii_only)
    envelope = b"{%b%b%b%b%b%b%b" % (
        b"" if id_in_key(event.id, profile) else b'"name":%b,' % quote(event.id, ascii_only),
        type_and_time(event.type, ascii_only),
        format_time(event.time_us).encode(),
        origin_members(arrival(event, profile), event.exchange, event.routing_key, ascii_only),
        quote(event.header.decode("latin-1"), ascii_only),
        flags_and_tags(event, ascii_only),
        encoding,
    )
    if len(envelope) + len(quoted) + _MSG_BYTES <= profile.value_units:
        return [_record(key + b"0", b'%b,"msg":%b}' % (envelope, quoted))]
    return [_record(*pair) for pair in _slices(event, key, envelope, encoding, quoted, profile)]


_MSG_BYTES = len(b',"msg":}')


def encode_batch(events: Iterable[Event], archive: str, first: int) -> list[bytes]:
    """The records of events in profile `wire`, as pieces that the caller joins. The events are numbered from `first` on.

    Gives the same bytes as `encode`, in half the time: most events are plain and have one record, and types, origins and times
    repeat within a batch. Raises the same errors as `encode`.
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
        key_type, front = kinds.get(kind) or kinds.setdefault(
            kind, (key_field(kind, _TYPE_MAX).encode(), type_and_time(kind))
        )
        arrived = None if arrived_us == time_us else arrived_us
        origin = origins.get((arrived, exchange, routing_key))
        if origin is None:
            origin = origins[arrived, exchange, routing_key] = origin_members(arrived, exchange, routing_key)
        stamp = stamps.get(time_us) or stamps.setdefault(time_us, format_time(time_us).encode())
        encoding, text = quoted_body(body)
        envelope = b"{%b%b%b%b%b" % (front, stamp, origin, dumps(header.decode("latin-1")), encoding)
        key = b"%b%d|%b|%b|" % (head, ordinal, key_type, quoted[1:-1])
        if len(envelope) + len(text) + _MSG_BYTES < VALUE_BYTES:
            value = b'%b,"msg":%b}' % (envelope, text)
            pieces += (key, _ZERO_SLICE[KEY_BYTES - len(key)], value, _ZEROS[VALUE_BYTES - len(value)])
            continue
        for slice_key, value in _slices(event, key, envelope, encoding, text, WIRE):
            pieces += (slice_key, _ZEROS[KEY_BYTES - len(slice_key)], value, _ZEROS[VALUE_BYTES - len(value)])
    return pieces


_TYPE_MAX, _PLAIN_ID_MAX = WIRE.field_units[1:]
_KEY_SPECIAL = re.compile(rb"[|%\x7f~]")  # JSON does not escape these, but a key must
_ZEROS = [
    bytes(size) for size in range(VALUE_BYTES + 1)
]  # 2 MB; slicing one long piece would copy bytes for each record
_ZERO_SLICE = [b"0" + bytes(size)[1:] for size in range(KEY_BYTES + 1)]  # slice number 0, and the padding of the key


def _record(key: bytes, value: bytes) -> bytes:
    return key.ljust(KEY_BYTES, b"\0") + value.ljust(VALUE_BYTES, b"\0")


def _slices(
    event: Event, key: bytes, envelope: bytes, encoding: bytes, quoted: bytes, profile: Profile
) -> list[tuple[bytes, bytes]]:
    """Keys and values of an event that needs several records: slices of the body, then of the members that are too long."""
    check_event(event)
    long_members: list[tuple[bytes, bytes]] = []
    if len(envelope) > profile.value_units // 2:
        envelope, long_members = _envelope(event, encoding, profile)
    first_units = profile.value_units - len(envelope) - len(b',"msg_n":9999999,"msg_i":0,"msg":""}')
    other_units = profile.value_units - len(b'{"msg_i":9999999,"msg":""}')
    pieces = [(b"", piece) for piece in cut(quoted[1:-1], first_units, other_units, whole=4 if encoding else 1)]
    for name, escaped in long_members:
        units = other_units - len(b'"of":"routing_key",')
        pieces += [(b'"of":"%b",' % name, piece) for piece in cut(escaped, units, units)]
    if len(pieces) > profile.slices_max:
        raise TooLarge(
            f"event needs {len(pieces)} slices, at most {profile.slices_max} allowed in profile {profile.name}"
        )
    first = b'%b,"msg_n":%d,"msg_i":0,"msg":"%b"}' % (envelope, len(pieces), pieces[0][1])
    others = [
        (b"%b%d" % (key, index), b'{%b"msg_i":%d,"msg":"%b"}' % (part, index, piece))
        for index, (part, piece) in enumerate(pieces[1:], 1)
    ]
    return [(key + b"0", first), *others]


def _envelope(event: Event, encoding: bytes, profile: Profile) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The members of the first slice without `msg` and without the closing brace; name and escaped text of too long members."""
    ascii_only = profile.ascii_only
    texts = [(b"type", event.type), (b"exchange", event.exchange),
             (b"routing_key", event.routing_key), (b"header", event.header.decode("latin-1"))]  # fmt: skip
    if not id_in_key(event.id, profile):
        texts.insert(0, (b"name", event.id))
    members, long_members = [b'"ts":"%b"' % format_time(event.time_us).encode()], []
    if (arrived_us := arrival(event, profile)) is not None:
        members.append(b'"arrived":"%b"' % format_time(arrived_us).encode())
    for name, value in texts:
        quoted = quote(value, ascii_only)
        if len(quoted) - 2 > profile.inline_units:
            long_members.append((name, quoted[1:-1]))
        else:
            members.append(b'"%b":%b' % (name, quoted))
    tags = tags_json(event, ascii_only)
    if len(tags) > profile.inline_units:
        long_members.append((b"tags", quote(tags.decode(), ascii_only)[1:-1]))
        event = event._replace(tags=())
    return b"{" + b",".join(members) + flags_and_tags(event, ascii_only) + encoding, long_members


def records(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each record, without padding. Raises Truncated and Corrupt with the offset of the record."""
    find, zeros_at, zeros = raw.find, raw.startswith, _ZEROS
    for at in range(0, len(raw), RECORD_BYTES):
        middle, after = at + KEY_BYTES, at + RECORD_BYTES
        if after > len(raw):
            raise Truncated(f"record of {counted(len(raw) - at, 'byte')} found, {RECORD_BYTES} expected", at)
        # A text that fills its field has no NUL after it, although readers in C expect one.
        key_end, value_end = find(b"\0", at, middle), find(b"\0", middle, after)
        key_end, value_end = middle if key_end < 0 else key_end, after if value_end < 0 else value_end
        if key_end == at:
            raise Corrupt("record with an empty key found", at)
        if not zeros_at(zeros[middle - key_end], key_end) or not zeros_at(zeros[after - value_end], value_end):
            raise Corrupt("record with a NUL within its key or value found", at)
        yield raw[at:key_end], raw[middle:value_end]


def decode(raw: bytes) -> Iterator[Event]:
    """The events of whole records, in order. Raises CodecError with the offset of the invalid record."""
    return decode_pieces((raw,))


def decode_pieces(pieces: Iterable[bytes]) -> Iterator[Event]:
    """The events of records that come in pieces of whole records. Memory holds one piece and one event."""
    stream = enumerate(chain.from_iterable(map(records, pieces)))
    for index, (key, value) in stream:
        try:
            members = loads(value)
            if "msg_i" in members:
                yield _joined(members, key, (pair for _, pair in stream))
            else:
                msg = members["msg"]
                if isinstance(msg, str) and "encoding" not in members:
                    body = msg.encode()  # the common case, without a further call
                else:
                    body = decode_body(msg, members.get("encoding"))
                yield _event(members, key, body)
        except CodecError as error:
            raise type(error)(error.reason, index * RECORD_BYTES) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"record does not hold the members of an event: {type(error).__name__}: {error}"
            raise Corrupt(reason, index * RECORD_BYTES) from error


def _joined(first: dict[str, object], key: bytes, stream: Iterable[tuple[bytes, bytes]]) -> Event:
    """The event that begins with the slice `first`; its other slices follow in the stream. Raises CodecError and ValueError."""
    count, base = first.get("msg_n"), key.removesuffix(b"0")
    if first["msg_i"] != 0 or type(count) is not int:
        raise Corrupt(f"slice {first['msg_i']} of {count!r} found, the first slice of an event expected")
    if count > SLICES_MAX:
        raise TooLarge(f"event of {count} slices, at most {SLICES_MAX} allowed")
    body, others = Body(first.get("encoding")), Members()
    body.add(_str(first["msg"]))
    index = 0
    for index, (next_key, value) in zip(range(1, count), stream, strict=False):
        if next_key != b"%b%d" % (base, index):
            raise Corrupt(f"key {next_key!r} found, slice {index} of {key!r} expected")
        members = loads(value)
        if "of" in members:
            others.add(_str(members["of"]), _str(members["msg"]))
        else:
            body.add(_str(members["msg"]))
    if index != count - 1:
        raise Truncated(f"{index + 1} of {count} slices found")
    return _event(first | others.joined(), key, body.joined())


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise Corrupt(f"{type(value).__name__} found, text expected")
    return value


_KEY_FIELDS = 5
_parse_time = lru_cache(maxsize=4096)(parse_time)  # many events have the same arrival time
_new_event = tuple.__new__


def id_in(key: bytes) -> str:
    """The ID in a key. It is the event's ID if the value has none. Raises Corrupt."""
    fields = key.decode().split("|")
    if len(fields) != _KEY_FIELDS or "%" in fields[3] or looks_shortened(fields[3]):
        raise Corrupt(f"no id found in the value, and no whole id in the key {key!r}")
    return fields[3]


def _event(members: dict[str, object], key: bytes, body: bytes) -> Event:
    name = members["name"] if "name" in members else id_in(key)
    kind, exchange, routing_key, ts = members["type"], members["exchange"], members["routing_key"], members["ts"]
    header, tags = members["header"], members.get("tags", ())
    texts = type(name) is type(kind) is type(exchange) is type(routing_key) is type(header) is type(ts) is str
    if not texts or not isinstance(header, str) or not isinstance(ts, str):
        raise Corrupt("a member of another type found, text expected")
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
