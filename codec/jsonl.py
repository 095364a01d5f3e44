"""Events as JSON lines: what `cat`, `search` and `tail` print, one object a line.

The lines are for reading and for other tools; the archive alone is exact. Text that is not UTF-8 stands with
U+FFFD in it, bytes in header tables as base64, and a header that cannot be read as `header_base64`.
"""

from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from math import isfinite

import orjson

from codec.amqp import Decimal, Field, decode_header
from codec.errors import CodecError
from codec.event import Event, format_time


def encode(event: Event, position: str, show_time: Callable[[int], str] | None = None) -> bytes:
    """One line with its line feed. `position` is `archive:batch:index`; times are UTC, or as `show_time` shows them."""
    show_time = show_time or _format_time
    line: dict[str, object] = {
        "id": _clean(event.id),
        "type": _clean(event.type),
        "time": show_time(event.time_us),
        "tags": [_clean(tag) for tag in event.tags],
        "exchange": _clean(event.exchange),
        "routing_key": _clean(event.routing_key),
        "redelivered": event.redelivered,
        "arrived": show_time(event.arrived_us),
    }
    if event.duplicate:
        line["duplicate"] = True
    line |= _header(event.header)
    try:
        line["body"] = event.body.decode()
    except UnicodeDecodeError:
        line["body_base64"] = _base64(event.body)
    line["position"] = position
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


_format_time = lru_cache(maxsize=4096)(format_time)  # arrivals are shared by many, and often are the event's time too


def _header(raw: bytes) -> dict[str, object]:
    try:
        properties = decode_header(raw)
    except CodecError:
        return {"properties": {}, "headers": {}, "header_base64": _base64(raw)}
    headers = properties.pop("headers", ())
    plain = {name: _clean(value) if isinstance(value, str) else value for name, value in properties.items()}
    return {"properties": plain, "headers": _table(headers)}


def _table(pairs: object) -> dict[str, object]:
    return {_clean(name): _plain(value) for name, value in pairs} if isinstance(pairs, tuple) else {}


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


def _clean(value: str) -> str:
    return value.encode("utf-8", "replace").decode() if not value.isprintable() else value
