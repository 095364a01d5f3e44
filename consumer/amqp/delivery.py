"""Delivery, what the broker hands over; and its description as an Event.

Invariant: describing never fails and never changes what was delivered. A body is opened only by an extractor that was
asked for, and one that does not hold what the extractor looks for is described by its AMQP properties.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from codec.amqp import identify
from codec.event import TIME_US_MAX, Event
from codec.notification import describe_body


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
        Event, (message_id, kind, time_us, arrived_us, exchange, routing_key, header, body, redelivered, "", ())
    )


def describe_openstack(delivery: Delivery) -> Event:
    """Id, type and time from an OpenStack notification, also inside of the oslo envelope."""
    event = describe(delivery)
    said = describe_body(delivery.body)
    time_us = event.time_us if said.time_us is None else said.time_us
    return event._replace(id=said.id or event.id, type=said.type or event.type, time_us=time_us)


DESCRIBERS: dict[str, Describe] = {"amqp": describe, "openstack": describe_openstack}
