"""Events that were imported from a file of another system: their members that have no place in an Event become AMQP headers.

Pure. Invariant: `imported_headers` gives back the headers that `imported_event` was given.
"""

from collections.abc import Iterable
from hashlib import blake2b

from codec.amqp import SHORT_MAX, Field, decode_header, encode_header, encode_text
from codec.errors import CodecError
from codec.event import TIME_US_MAX, TIME_US_MIN, Event
from codec.limits import check_event


def imported_event(
    body: bytes, *, id: str, type: str, time_us: int, headers: Iterable[tuple[str, str]], tags: tuple[str, ...] = ()
) -> Event:
    """An event that never passed through a broker.

    `time_us`: microseconds since 1970; a time outside the calendar becomes its first or last instant. `headers`: name and value of
    the other members of the file besides ID, type, time and tags. Raises TooLarge.
    """
    table = tuple((_short(name), Field("S", encode_text(value))) for name, value in headers)
    time_us = min(max(time_us, TIME_US_MIN), TIME_US_MAX)
    event = Event(
        id, type, time_us, time_us, "", "", encode_header({"headers": table} if table else {}), body, tags=tags
    )
    check_event(event)
    return event


def _short(name: str) -> str:
    """The name if a header table can hold it; otherwise the name shortened with a hash."""
    raw = encode_text(name)
    if len(raw) <= SHORT_MAX:
        return name
    return f"{raw[:200].decode('utf-8', 'ignore')}~{blake2b(raw, digest_size=8).hexdigest()}"


def imported_headers(event: Event) -> dict[str, str] | None:
    """The headers of an imported event, as text. None if the event came from a broker."""
    if event.exchange or event.routing_key:
        return None
    try:
        headers = decode_header(event.header).get("headers", ())
    except CodecError:
        return {}
    assert isinstance(headers, tuple), "decode_header gives a table as a tuple"
    return {name: field.value.decode("utf-8", "surrogateescape") for name, field in headers if field.kind == "S"}
