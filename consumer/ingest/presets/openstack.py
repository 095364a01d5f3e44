"""Preset `openstack`: notifications of OpenStack services, with and without the envelope of oslo.messaging.

Source: oslo.messaging's drivers `messaging` (the notification is the body) and `messagingv2` (the body is an envelope with
`oslo.version` and `oslo.message`).
"""

from codec.event import Event
from codec.notification import describe_body
from consumer.amqp.delivery import Delivery
from consumer.ingest.presets.values import refine


def describe_openstack(delivery: Delivery, event: Event) -> Event:
    """Read id (`message_id`), type (`event_type`) and time (`timestamp`) from the body."""
    found = describe_body(delivery.body)
    return refine(event, found.id, found.type, found.time_us)
