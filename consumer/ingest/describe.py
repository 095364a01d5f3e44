"""Describe a delivery as an `Event`: its id, type and time.

Invariants: describing never fails and never changes the delivery. A body is parsed only if the configured extractor does so.
If the body does not contain the values, the AMQP properties are used instead.
"""

from collections.abc import Callable

from codec.amqp import identify
from codec.event import TIME_US_MAX, Event
from codec.notification import describe_body
from consumer.amqp.delivery import Delivery

Describe = Callable[[Delivery], Event]
_new_event = tuple.__new__  # needs a third of the time of the named constructor; called once a message


def describe(delivery: Delivery) -> Event:
    """Read id, type and time from the AMQP properties. Defaults: no id, the routing key, and the time of arrival."""
    _tag, redelivered, exchange, routing_key, header, body, arrived_us = delivery
    message_id, timestamp_s, kind = identify(header)
    time_us = arrived_us
    if timestamp_s is not None and timestamp_s * 1_000_000 <= TIME_US_MAX:
        time_us = timestamp_s * 1_000_000  # a larger value is not in seconds; it stays in the header
    kind = kind or routing_key
    return _new_event(
        Event, (message_id, kind, time_us, arrived_us, exchange, routing_key, header, body, redelivered, "", ())
    )


def describe_openstack(delivery: Delivery) -> Event:
    """Read id, type and time from the body of an OpenStack notification, with or without the oslo envelope."""
    event = describe(delivery)
    found = describe_body(delivery.body)
    time_us = event.time_us if found.time_us is None else found.time_us
    return event._replace(id=found.id or event.id, type=found.type or event.type, time_us=time_us)


DESCRIBERS: dict[str, Describe] = {"amqp": describe, "openstack": describe_openstack}  # by `archive.describe`
