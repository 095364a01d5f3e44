"""Read values of messages for describers: properties, headers, texts, numbers and times.

Pure. Invariant: a value that is missing, of another type or out of range reads as empty or None, and nothing raises.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from codec.amqp import Field, Table, decode_header, decode_text
from codec.errors import CodecError, TooLarge
from codec.event import TIME_US_MAX, TIME_US_MIN, Event, parse_time
from codec.limits import TEXT_CHARACTERS_MAX

TAG_CHARACTERS_MAX = 1000  # a longer value gives no tag: it stays in the message
TAGS_MAX = 100  # of one event
NO_FIELD = Field("V", None)
_NUMBER_MAX = 1 << 62  # of any unit; a float below it does not overflow
_new_event = tuple.__new__  # as in `describe`: faster than the named constructor
_TEXT_KINDS = ("S", "x")


@lru_cache(maxsize=2)  # several describers read the header of one delivery
def properties_of(header: bytes) -> Mapping[str, object]:
    """The properties of a content header by name; none if it cannot be decoded."""
    try:
        return decode_header(header)
    except TooLarge:
        return _shallow(header)
    except CodecError:
        return {}


def _shallow(header: bytes) -> Mapping[str, object]:
    """The properties; tables inside the headers stay bytes, because they are nested too deeply."""
    try:
        return decode_header(header, shallow=True)
    except CodecError:
        return {}


def headers_of(header: bytes) -> Table:
    """The headers of a message, in their order."""
    headers = properties_of(header).get("headers")
    return headers if isinstance(headers, tuple) else ()


def fields_by_name(table: Table) -> dict[str, Field]:
    """The fields of a table by name. Of a repeated name, the last one."""
    return dict(table)


def table_of(field: Field) -> Table:
    """The pairs of a field that holds a table; none for any other field."""
    return field.value if field.kind == "F" and isinstance(field.value, tuple) else ()


def texts_of(field: Field) -> list[str]:
    """The texts of a field that holds an array."""
    found = field.value if field.kind == "A" and isinstance(field.value, tuple) else ()
    return [text for one in found if (text := text_of(one))]


def text_of(field: Field) -> str:
    """The text of a field that holds a string or bytes; empty for any other field, and for a text that is too long."""
    if field.kind not in _TEXT_KINDS or not isinstance(field.value, bytes):
        return ""
    return bounded(decode_text(field.value))


def number_of(field: Field) -> int | None:
    """The number of a field that holds a whole number."""
    return field.value if type(field.value) is int else None


def bounded(value: object) -> str:
    """The value if it is a text that fits into an event; otherwise an empty text."""
    return value if isinstance(value, str) and len(value) <= TEXT_CHARACTERS_MAX else ""


def instant_of_text(value: object) -> int | None:
    """Microseconds since 1970 of a time such as `2026-11-19T23:11:00.123456789Z` (RFC 3339). Smaller parts are cut off."""
    if not isinstance(value, str):
        return None
    try:
        return _in_calendar(parse_time(value.strip().upper()))
    except CodecError:
        return None


def instant_of_number(value: object, per_second: int = 1) -> int | None:
    """Microseconds since 1970 of a number of seconds, or of parts of a second of which there are `per_second`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_NUMBER_MAX < value < _NUMBER_MAX:
        return None
    if isinstance(value, int):
        return _in_calendar(value * 1_000_000 // per_second)
    return _in_calendar(round(value * 1_000_000 / per_second))


def _in_calendar(time_us: int) -> int | None:
    return time_us if TIME_US_MIN <= time_us <= TIME_US_MAX else None


def refine(
    event: Event, id: str = "", type: str = "", time_us: int | None = None, tags: Iterable[str] = ()
) -> Event:  # fmt: skip
    """The event with the values that were found. An empty one leaves that of the event; tags are added, each once."""
    all_tags = _with(event.tags, tags) if tags else event.tags
    id, type = id or event.id, type or event.type
    time_us = event.time_us if time_us is None else time_us
    return _new_event(Event, (id, type, time_us, *event[3:10], all_tags))


def _with(had: tuple[str, ...], tags: Iterable[str]) -> tuple[str, ...]:
    added = [tag for tag in dict.fromkeys(tags) if tag not in had and len(tag) <= TAG_CHARACTERS_MAX]
    return (*had, *added)[:TAGS_MAX]
