"""Events as JSON lines, one object per line: the output of `cat`, `search` and `tail`.

The lines are for people and for other tools; only the archive is exact. In text that is not UTF-8, U+FFFD replaces the invalid
bytes. Bytes in header tables are base64. If a header cannot be decoded, the line has `header_base64`.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any

import msgspec
import orjson

from codec.amqp import Decimal, Field, decode_header, encode_header
from codec.errors import CodecError, Corrupt, TooLarge
from codec.event import Event, check_duplicate, format_time, parse_time
from codec.limits import PARSED_BYTES_MAX, check_event


def encode(
    event: Event,
    position: str,
    show_time: Callable[[int], str] | None = None,
    exact: bool = False,
    json_body: bool = False,
) -> bytes:
    """An event as one line, with its line feed.

    `position`: text form of the event's position, such as `a1-00000007:41`. `show_time`: formats a time in microseconds since 1970;
    without it, times are UTC. `exact`: adds members from which `decode` restores the same event.
    `json_body`: a body that is JSON is the JSON value `body_json` instead of the text `body`. Its numbers keep all digits. `decode`
    refuses such a line, because line breaks of the body are missing.
    """
    show_time = show_time or _format_time
    line: dict[str, object] = {
        "id": clean(event.id),
        "type": clean(event.type),
        "time": show_time(event.time_us),
        "tags": [clean(tag) for tag in event.tags],
        "exchange": clean(event.exchange),
        "routing_key": clean(event.routing_key),
        "redelivered": event.redelivered,
        "arrived": show_time(event.arrived_us),
    }
    if event.duplicate:
        line["duplicate"] = event.duplicate
    line |= show_header(event.header)
    if exact:
        line["header_base64"] = _base64(event.header)
        line |= {f"{name}_escaped": json.dumps(value) for name, value in _texts(event) if not _is_clean(value)}
    if json_body and _is_json(event.body):
        line["body_json"] = orjson.Fragment(event.body.translate(_LINE_ENDS))
    else:
        try:
            line["body"] = event.body.decode()
        except UnicodeDecodeError:
            line["body_base64"] = _base64(event.body)
    line["position"] = position
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")  # in JSON, they can only be white space between tokens


def _is_json(body: bytes) -> bool:
    """Whether a body is JSON (RFC 8259). A body that is too long to be parsed in bounded memory counts as text."""
    if len(body) > PARSED_BYTES_MAX:
        return False
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


_format_time = lru_cache(maxsize=4096)(format_time)  # many events have the same arrival time


def _texts(event: Event) -> tuple[tuple[str, object], ...]:
    """Name and value of each member that may hold lone surrogates, which the line shows as U+FFFD."""
    names = ("id", "type", "exchange", "routing_key", "tags")
    return tuple((name, getattr(event, name)) for name in names)


def _is_clean(value: object) -> bool:
    return all(clean(text) == text for text in ([value] if isinstance(value, str) else value))  # type: ignore[attr-defined]  # tags


def decode(line: bytes) -> Event | None:
    """The event of a line that `encode` wrote; None for any other line. Raises Corrupt and TooLarge.

    If the line was written without `exact`, the header is built from the members `properties` and `headers`. Then the AMQP types of
    its fields are lost.
    """
    try:
        found = _members(line)
    except (ValueError, msgspec.MsgspecError):
        return None  # Python's `json` may still accept it, with NaN or a lone surrogate; the caller decides
    if not isinstance(found, dict) or not found.keys() >= {"position", "arrived", "exchange", "routing_key"}:
        return None
    if "body_json" in found:
        raise Corrupt(
            "printed with --json-body, which does not keep the exact body; print it again without --json-body"
        )
    try:
        event = Event(
            _text_of(found, "id"),
            _text_of(found, "type"),
            _time_of(found, "time"),
            _time_of(found, "arrived"),
            _text_of(found, "exchange"), _text_of(found, "routing_key"), _header_of(found),
            b64decode(found["body_base64"], validate=True) if "body_base64" in found else found["body"].encode(),
            found["redelivered"] is True, check_duplicate(found.get("duplicate", "")), _tags_of(found),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Corrupt(f"line does not hold the members of an event: {type(error).__name__}: {error}") from error
    check_event(event)
    return event


class _LongLine(msgspec.Struct):
    """The members of an event in a long line, as unparsed JSON. Other members of the line are skipped."""

    position: msgspec.Raw = msgspec.Raw(b"")
    id: msgspec.Raw = msgspec.Raw(b"")
    id_escaped: msgspec.Raw = msgspec.Raw(b"")
    type: msgspec.Raw = msgspec.Raw(b"")
    type_escaped: msgspec.Raw = msgspec.Raw(b"")
    time: msgspec.Raw = msgspec.Raw(b"")
    arrived: msgspec.Raw = msgspec.Raw(b"")
    exchange: msgspec.Raw = msgspec.Raw(b"")
    exchange_escaped: msgspec.Raw = msgspec.Raw(b"")
    routing_key: msgspec.Raw = msgspec.Raw(b"")
    routing_key_escaped: msgspec.Raw = msgspec.Raw(b"")
    tags: msgspec.Raw = msgspec.Raw(b"")
    tags_escaped: msgspec.Raw = msgspec.Raw(b"")
    redelivered: msgspec.Raw = msgspec.Raw(b"")
    duplicate: msgspec.Raw = msgspec.Raw(b"")
    properties: msgspec.Raw = msgspec.Raw(b"")
    headers: msgspec.Raw = msgspec.Raw(b"")
    header_base64: msgspec.Raw = msgspec.Raw(b"")
    body: msgspec.Raw = msgspec.Raw(b"")
    body_base64: msgspec.Raw = msgspec.Raw(b"")


def _members(line: bytes) -> object:
    """The members of a line. Of a long line, only the members of an event are parsed, to bound the memory.

    Raises ValueError and MsgspecError if the line is not JSON, and TooLarge.
    """
    if len(line) <= PARSED_BYTES_MAX:
        return orjson.loads(line)
    unparsed = msgspec.json.decode(line, type=_LongLine)
    found: dict[str, object] = {}
    for name in unparsed.__struct_fields__:
        raw = bytes(getattr(unparsed, name))
        if len(raw) > PARSED_BYTES_MAX and not name.startswith("body"):
            raise TooLarge(f"member {name} of {len(raw)} bytes, at most {PARSED_BYTES_MAX} allowed")
        if raw:
            found[name] = orjson.loads(raw) if raw[:1] == b'"' or not name.startswith("body") else None
    return found


def _text_of(found: dict[str, Any], name: str) -> str:
    value = json.loads(found[f"{name}_escaped"]) if f"{name}_escaped" in found else found[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is a JSON {type(value).__name__}, text expected")
    return value


def _time_of(found: dict[str, Any], name: str) -> int:
    time_us = parse_time(found[name])
    format_time(time_us)  # on the first or last day of the calendar, the conversion to UTC can leave the calendar
    return time_us


def _tags_of(found: dict[str, Any]) -> tuple[str, ...]:
    tags = json.loads(found["tags_escaped"]) if "tags_escaped" in found else found["tags"]
    return tuple(map(str, tags))


def _header_of(found: dict[str, Any]) -> bytes:
    if "header_base64" in found:
        return b64decode(found["header_base64"], validate=True)
    table = tuple((name, field_of(value)) for name, value in found["headers"].items())
    properties = found["properties"] | ({"headers": table} if table else {})
    return encode_header(properties)


def field_of(value: object) -> Field:
    """The field of a header table for a JSON value."""
    match value:
        case bool():
            return Field("t", value)
        case int() if -(1 << 63) <= value < 1 << 63:
            return Field("l", value)
        case float():
            return Field("d", value)
        case None:
            return Field("V", None)
        case list():
            return Field("A", tuple(map(field_of, value)))
        case dict():
            return Field("F", tuple((name, field_of(inner)) for name, inner in value.items()))
    return Field("S", str(value).encode())


def show_header(raw: bytes) -> dict[str, object]:
    """`properties` and `headers` of a content header as JSON values. If it cannot be decoded, both are empty, and `header_base64` holds it."""
    try:
        properties = decode_header(raw)
    except CodecError:
        return {"properties": {}, "headers": {}, "header_base64": _base64(raw)}
    headers = properties.pop("headers", ())
    plain = {name: clean(value) if isinstance(value, str) else value for name, value in properties.items()}
    return {"properties": plain, "headers": _table(headers)}


def _table(pairs: object) -> dict[str, object]:
    return {clean(name): _plain(value) for name, value in pairs} if isinstance(pairs, tuple) else {}


def _plain(value: Field) -> object:
    match value:
        case Field("S", bytes(raw)):
            return _text_or_base64(raw)
        case Field("x", bytes(raw)):
            return {"base64": _base64(raw)}
        case Field("F", pairs):
            return _table(pairs)
        case Field("A", tuple(fields)):
            return [_plain(item) for item in fields]
        case Field("D", Decimal(scale, mantissa)):
            return f"{mantissa}e-{scale}"
        case Field("T", int(seconds)):
            return _instant(seconds)
        case Field("f" | "d", float(number)) if not isfinite(number):
            return str(number)
    return value.value


def _instant(seconds: int) -> object:
    try:
        return format_time(seconds * 1_000_000)
    except CodecError:
        return seconds


def _text_or_base64(raw: bytes) -> object:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": _base64(raw)}


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def clean(value: str) -> str:
    """The text with `?` for each lone surrogate, which UTF-8 cannot encode."""
    return value.encode("utf-8", "replace").decode() if not value.isprintable() else value
