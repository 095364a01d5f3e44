"""Preset `firehose`: the messages that RabbitMQ's tracer copies to the exchange `amq.rabbitmq.trace`.

Source: rabbit_trace.erl. A copy has the body of the traced message. Its headers hold the exchange (`exchange_name`), the routing
keys (`routing_keys`) and the properties (`properties`, a table) of the traced message. Its own routing key is `publish.EXCHANGE` or
`deliver.QUEUE`. Invariant: the event stays the copy, byte for byte; only its id, type, time and tags are those of the traced message.
"""

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
    table_of,
    text_of,
    texts_of,
)

DELIVER = "deliver."


def describe_traced(delivery: Delivery, event: Event) -> Event:
    """Read id, type and time of the traced message, and the tags `exchange:`, `key:`, `queue:` and `user:`."""
    headers = fields_by_name(headers_of(delivery.header))
    if not headers.keys() >= {"exchange_name", "routing_keys", "properties"}:
        return event
    keys = texts_of(headers["routing_keys"])
    properties = fields_by_name(table_of(headers["properties"]))
    kind = text_of(properties.get("type", NO_FIELD)) or next(iter(keys), "")
    queues = texts_of(headers.get("routed_queues", NO_FIELD))
    if event.routing_key.startswith(DELIVER):
        queues = [event.routing_key.removeprefix(DELIVER)]
    tags = [
        ("exchange", text_of(headers["exchange_name"])),
        *(("key", key) for key in keys),
        *(("queue", queue) for queue in queues),
        ("user", text_of(headers.get("user", NO_FIELD))),
    ]
    return refine(
        event, text_of(properties.get("message_id", NO_FIELD)), kind, _time(properties.get("timestamp", NO_FIELD)),
        [f"{name}:{value}" for name, value in tags if value],
    )  # fmt: skip


def _time(field: Field) -> int | None:
    """The time of a traced message. The tracer cuts timestamps to 32 bits with a sign, so that a negative one is wrong."""
    seconds = number_of(field)
    return None if seconds is None or seconds < 0 else instant_of_number(seconds)
