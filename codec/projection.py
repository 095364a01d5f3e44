"""Decode events from records of which only some fields are needed, several times as fast as `codec.kvp`.

Pure. For scans of many events. Invariants: for the records of a writer, the fields that are decoded equal those of `codec.kvp`, which
decodes each record that is not of the common form. Damage is found by the checksum of the frame, which must be verified before;
the padding of records is not checked here.
"""

from collections.abc import Container, Iterable, Iterator
from functools import lru_cache
from itertools import chain, islice

import msgspec

from codec import kvp
from codec.errors import Corrupt, TooLarge, Truncated
from codec.event import Event, check_duplicate, parse_time
from codec.joining import Members, decode_body, loads
from codec.profiles import KEY_BYTES, RECORD_BYTES, SLICES_MAX

EVERYTHING = frozenset(Event._fields)
_Place = tuple[bytes, int]  # a piece of records, and the offset of a record in it
_new_event = tuple.__new__


class _Value(msgspec.Struct, gc=False):
    """The members of a value in the common form. `msg_i` and `msg_n` are there if the event has several records."""

    type: str
    ts: str
    exchange: str
    routing_key: str
    header: str
    name: str | None = None
    arrived: str | None = None
    redelivered: bool = False
    duplicate: str = ""
    tags: tuple[str, ...] = ()
    msg_i: int = -1
    msg_n: int = 0


class _ValueAndBody(_Value, gc=False, kw_only=True):
    msg: str
    encoding: str | None = None


def decode(pieces: Iterable[bytes], needed: Container[str] = EVERYTHING) -> Iterator[Event]:
    """The events of records that come in pieces of whole records. Memory holds one piece and one event.

    `needed`: names of fields of Event. `id` and `body` are empty if they are not needed; the other fields cost little. Raises CodecError.
    """
    bodies, ids = "body" in needed, "id" in needed
    read = msgspec.json.Decoder(_ValueAndBody if bodies else _Value).decode
    places = ((raw, at) for raw in pieces for at in range(0, len(raw), RECORD_BYTES))
    for place in places:
        raw, at = place
        end = raw.find(b"\0", at + KEY_BYTES, at + RECORD_BYTES)
        try:
            found = read(raw[at + KEY_BYTES : end if end >= 0 else at + RECORD_BYTES])
            if found.msg_i < 0:
                body = decode_body(found.msg, found.encoding) if isinstance(found, _ValueAndBody) else b""
                yield _event(found, _name(found, raw, at) if ids else "", body)
                continue
            if not bodies:
                yield _without_body(found, place, places, ids)
                continue
        except (ValueError, msgspec.MsgspecError):
            pass  # not of the common form; `kvp` decodes it, or knows what is wrong with it
        event = _exactly(place, places)
        yield event._replace(id=event.id if ids else "", body=event.body if bodies else b"")


def _value(raw: bytes, at: int) -> bytes:
    end = raw.find(b"\0", at + KEY_BYTES, at + RECORD_BYTES)
    return raw[at + KEY_BYTES : end if end >= 0 else at + RECORD_BYTES]


def _key(raw: bytes, at: int) -> bytes:
    end = raw.find(b"\0", at, at + KEY_BYTES)
    return raw[at : end if end >= 0 else at + KEY_BYTES]


def _name(found: _Value, raw: bytes, at: int) -> str:
    return kvp.id_in(_key(raw, at)) if found.name is None else found.name


def _event(found: _Value, name: str, body: bytes) -> Event:
    time_us = _time_us(found.ts)
    return _new_event(
        Event,
        (
            name, found.type, time_us, time_us if found.arrived is None else _time_us(found.arrived),
            found.exchange, found.routing_key, found.header.encode("latin-1"), body, found.redelivered,
            check_duplicate(found.duplicate) if found.duplicate else "", found.tags,
        ),
    )  # fmt: skip


_second_us = lru_cache(maxsize=4096)(parse_time)  # many events are of the same second


def _time_us(text: str) -> int:
    """As `parse_time`. The common form is `2026-11-21T16:15:00.123456Z`."""
    fraction = text[20:26]
    if len(text) == len("2026-11-21T16:15:00.123456Z") and fraction.isdecimal() and text[19] == "." and text[26] == "Z":
        return _second_us(f"{text[:19]}Z") + int(fraction)
    return parse_time(text)


def _exactly(place: _Place, places: Iterator[_Place]) -> Event:
    """The event that begins at a place, decoded by `kvp`. Its other records follow in `places`."""
    return next(kvp.decode_pieces(raw[at : at + RECORD_BYTES] for raw, at in chain((place,), places)))


def _without_body(found: _Value, place: _Place, places: Iterator[_Place], ids: bool) -> Event:
    """The event that begins at a place. The records that continue its body are skipped. Raises CodecError."""
    if found.msg_i != 0:
        raise Corrupt(f"slice {found.msg_i} of {found.msg_n} found, the first slice of an event expected")
    if found.msg_n > SLICES_MAX:
        raise TooLarge(f"event of {found.msg_n} slices, at most {SLICES_MAX} allowed")
    base, slices, others = _key(*place).removesuffix(b"0"), 1, Members()
    for raw, at in islice(places, found.msg_n - 1):
        if not raw.startswith(b"%b%d" % (base, slices), at):
            raise Corrupt(f"key {_key(raw, at)!r} found, slice {slices} of {base!r} expected")
        slices += 1
        if raw.find(b'"of":', at + KEY_BYTES, at + RECORD_BYTES) >= 0:
            members = loads(_value(raw, at))
            others.add(str(members["of"]), str(members["msg"]))
    if slices != found.msg_n:
        raise Truncated(f"{slices} of {found.msg_n} slices found")
    if long := others.joined():
        found = msgspec.convert(msgspec.structs.asdict(found) | long, _Value)
    return _event(found, _name(found, *place) if ids else "", b"")
