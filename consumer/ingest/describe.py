"""Describe a delivery as an `Event`: its id, type and time from the AMQP properties.

Invariants: describing never fails and never changes the delivery. The body is not read. The describers of
`consumer.ingest.presets` refine the result, if the settings name some.
"""

from collections.abc import Callable

from codec.amqp import identify
from codec.event import TIME_US_MAX, Event
from consumer.amqp.delivery import Delivery

Describe = Callable[[Delivery], Event]
Describer = Callable[[Delivery, Event], Event]  # refines the id, type, time and tags of an event; see `presets.guard`
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
