"""ArchivedEvent: an event as a program sees it, with Python values.

Invariant: `body` and `header` are the bytes that the broker delivered. Everything else is derived from the archived event,
and decoded only when it is asked for.
"""

import decimal
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from codec.amqp import Decimal, Field, decode_header, decode_text
from codec.counted import counted
from codec.event import EPOCH, Event, format_time
from consumer.archive.position import Position


class ArchivedEvent:
    """One archived message, and the position of its archive where it is. It cannot be changed.

    Text that is not UTF-8 holds lone surrogates, as with `errors="surrogateescape"` (PEP 383).
    """

    __slots__ = ("_event", "_position")

    def __init__(self, event: Event, position: Position) -> None:
        self._event = event
        self._position = position

    @property
    def position(self) -> Position:
        """Where it is. It never changes."""
        return self._position

    @property
    def id(self) -> str:
        """The property `message_id`, or an empty string. Several events may have the same id; their positions differ."""
        return self._event.id

    @property
    def type(self) -> str:
        """The property `type`, or the routing key if there is none."""
        return self._event.type

    @property
    def time(self) -> datetime:
        """When it happened, in UTC: the property `timestamp`, or the arrival if there is none."""
        return _instant(self._event.time_us)

    @property
    def arrived(self) -> datetime:
        """When Deedbox received it, in UTC."""
        return _instant(self._event.arrived_us)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags. Only imported events have some."""
        return self._event.tags

    @property
    def exchange(self) -> str:
        """The exchange to which it was published; empty for the default exchange."""
        return self._event.exchange

    @property
    def routing_key(self) -> str:
        """The routing key with which it was published."""
        return self._event.routing_key

    @property
    def redelivered(self) -> bool:
        """Whether the broker had delivered the message before."""
        return self._event.redelivered

    @property
    def duplicate(self) -> Position | None:
        """The position of the archived event to which this redelivered one is equal; None if there is none."""
        return Position.parse(self._event.duplicate) if self._event.duplicate else None

    @property
    def header(self) -> bytes:
        """The AMQP content header as the broker sent it, from the property flags on (AMQP 0-9-1, section 4.2.6.1)."""
        return self._event.header

    @property
    def headers(self) -> dict[str, Any]:
        """The header table of the message as Python values. Raises CodecError if the content header is malformed."""
        table = decode_header(self._event.header).get("headers", ())
        return _table(table if isinstance(table, tuple) else ())

    @property
    def properties(self) -> dict[str, Any]:
        """The AMQP properties that are set, without `headers`. `timestamp` is a datetime in UTC.

        Raises CodecError if the content header is malformed.
        """
        found = decode_header(self._event.header)
        found.pop("headers", None)
        if isinstance(seconds := found.get("timestamp"), int):
            found["timestamp"] = _timestamp(seconds)
        return found

    @property
    def body(self) -> bytes:
        """The body, byte for byte."""
        return self._event.body

    def json(self) -> Any:  # noqa: ANN401 -- the caller knows what the publisher sends
        """The body as JSON. Integers are exact, whatever their size. Raises ValueError if the body is not JSON."""
        try:
            return json.loads(self._event.body)
        except RecursionError as error:
            raise ValueError("the JSON is nested too deeply") from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArchivedEvent):
            return NotImplemented
        return (self._position, self._event) == (other._position, other._event)

    def __hash__(self) -> int:
        return hash(self._position)

    def __repr__(self) -> str:
        event = self._event
        return f"<ArchivedEvent {self._position} {event.type!r} {format_time(event.time_us)} {counted(len(event.body), 'byte')}>"


def _instant(time_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=time_us)


def _timestamp(seconds: int) -> datetime | int:
    """Seconds since 1970 as a datetime; as they are if they are outside of the years 1 to 9999."""
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return seconds


def _table(pairs: Iterable[tuple[str, Field]]) -> dict[str, Any]:
    return {name: _value(field) for name, field in pairs}


def _value(field: Field) -> object:
    """The Python value of a typed field of a header table."""
    match field:
        case Field("S", bytes(raw)):
            return decode_text(raw)
        case Field("F", tuple(pairs)):
            return _table(pairs)
        case Field("A", tuple(fields)):
            return [_value(item) for item in fields]
        case Field("D", Decimal(scale, mantissa)):
            return decimal.Decimal(mantissa).scaleb(-scale)
        case Field("T", int(seconds)):
            return _timestamp(seconds)
    return field.value
