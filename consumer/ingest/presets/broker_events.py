"""Preset `broker-events`: what happens in RabbitMQ, from the exchange `amq.rabbitmq.event` of its plugin rabbitmq_event_exchange.

Source: rabbit_exchange_type_event.erl. The kind of the event is the routing key, such as `queue.created`; the data is in the
headers, with the time in `timestamp_in_ms`; the body is empty.
"""

from collections.abc import Iterator, Mapping

from codec.amqp import Field
from codec.event import Event
from consumer.amqp.delivery import Delivery
from consumer.ingest.presets.values import (
    NO_FIELD,
    fields_by_name,
    headers_of,
    instant_of_number,
    number_of,
    refine,
    text_of,
)


def describe_broker_event(delivery: Delivery, event: Event) -> Event:
    """Read type and time, and tags: the objects that the event is about, such as `queue:NAME`, and `by:` the user who acted."""
    headers = fields_by_name(headers_of(delivery.header))
    time_us = instant_of_number(number_of(headers.get("timestamp_in_ms", NO_FIELD)), per_second=1000)
    if time_us is None:
        return event
    tags = [f"{name}:{value}" for name, value in _objects(event.routing_key, headers) if name and value]
    return refine(event, type=event.routing_key, time_us=time_us, tags=tags)


def _objects(routing_key: str, headers: Mapping[str, Field]) -> Iterator[tuple[str, str]]:
    """Kind and name of the objects. The kind of `name` is the first word of the routing key: `queue` of `queue.created`."""
    texts = {name: text_of(field) for name, field in headers.items()}
    yield routing_key.partition(".")[0], texts.get("name", "")
    for end in ("source", "destination"):  # of a binding
        yield texts.get(f"{end}_kind", ""), texts.get(f"{end}_name", "")
    for name in ("queue", "user", "vhost"):
        yield name, texts.get(name, "")
    yield "by", texts.get("user_who_performed_action", "")
