"""Delivery, what the broker hands over; and its description as an Event.

Invariant: describing never fails and never changes what was delivered. A body is opened only by an extractor that was
asked for, and one that does not hold what the extractor looks for is described by its AMQP properties.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import orjson

from codec.amqp import identify
from codec.errors import CodecError
from codec.event import TIME_US_MAX, TIME_US_MIN, Event, parse_time


class Delivery(NamedTuple):
    """One basic.deliver with its content, as it came. A named tuple: one is made for every message."""

    tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    header: bytes  # from the property flags on
    body: bytes
    arrived_us: int


OVERHEAD_BYTES = 300  # of the objects of one delivery, about


def size_of(deliveries: Sequence[Delivery]) -> int:
    """Bytes held in memory for them, about."""
    return sum([len(found[5]) + len(found[4]) for found in deliveries]) + OVERHEAD_BYTES * len(deliveries)


Describe = Callable[[Delivery], Event]
_new_event = tuple.__new__  # a third of the time of the named constructor, once a message


def describe(delivery: Delivery) -> Event:
    """Id, type and time from the properties; else routing key and arrival."""
    _tag, redelivered, exchange, routing_key, header, body, arrived_us = delivery
    message_id, timestamp_s, kind = identify(header)
    time_us = arrived_us
    if timestamp_s is not None and timestamp_s * 1_000_000 <= TIME_US_MAX:
        time_us = timestamp_s * 1_000_000  # else it counts milliseconds, or nonsense; the header keeps it
    kind = kind or routing_key
    return _new_event(
        Event, (message_id, kind, time_us, arrived_us, exchange, routing_key, header, body, redelivered, False, ())
    )


def describe_openstack(delivery: Delivery) -> Event:
    """Id, type and time from an OpenStack notification, also inside of the oslo envelope."""
    event = describe(delivery)
    try:
        notification = orjson.loads(delivery.body)
        if "oslo.message" in notification:
            notification = orjson.loads(notification["oslo.message"])
        return event._replace(
            id=_text(notification.get("message_id")) or event.id,
            type=_text(notification.get("event_type")) or event.type,
            time_us=_instant(notification.get("timestamp"), event.time_us),
        )
    except (orjson.JSONDecodeError, TypeError, AttributeError):
        return event


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _instant(value: object, otherwise: int) -> int:
    """The time of a notification: `2026-11-19 23:11:00.060662`, in UTC without saying so."""
    try:
        text = _text(value)
        found = parse_time(text if text.endswith("Z") or "+" in text else text + "Z")
    except CodecError:
        return otherwise
    # A zone can push an instant of the first or last day out of the calendar.
    return found if TIME_US_MIN <= found <= TIME_US_MAX else otherwise


DESCRIBERS: dict[str, Describe] = {"amqp": describe, "openstack": describe_openstack}
