"""Preset `cloudevents`: CloudEvents in binary and in structured mode.

Sources: the AMQP protocol binding of CloudEvents (headers `cloudEvents:NAME` or `cloudEvents_NAME`), the RabbitMQ protocol binding
of Knative (headers `ce-NAME`), and the JSON event format. A message without all four required attributes is no CloudEvent.
Invariant: a batch of events, and a format other than JSON without headers, are left as they are.
"""

import msgspec

from codec.amqp import Field
from codec.event import Event
from codec.limits import PARSED_BYTES_MAX
from consumer.amqp.delivery import Delivery
from consumer.ingest.presets.values import (
    bounded,
    headers_of,
    instant_of_number,
    instant_of_text,
    properties_of,
    refine,
    text_of,
)

MEDIA_TYPE = "application/cloudevents"
_PREFIXES = ("cloudevents:", "cloudevents_", "ce-")
_READ = frozenset(("specversion", "id", "source", "type", "subject", "time"))


class Attributes(msgspec.Struct):
    """The attributes that are read: texts; `time` in microseconds since 1970. The names are those of the specification."""

    specversion: str = ""
    id: str = ""
    source: str = ""
    type: str = ""
    subject: str | None = None
    time: str | None = None
    time_us: int | None = None

    @property
    def complete(self) -> bool:
        """Whether all required attributes are there."""
        return bool(self.specversion and self.id and self.source and self.type)


def describe_cloudevent(delivery: Delivery, event: Event) -> Event:
    """Read id, type, time and the tags `source:` and `subject:` from the attributes."""
    content_type = properties_of(delivery.header).get("content_type")
    media = content_type.partition(";")[0].strip().lower() if isinstance(content_type, str) else ""
    if media.startswith(f"{MEDIA_TYPE}-batch"):
        return event
    found = _from_json(delivery.body) if media == f"{MEDIA_TYPE}+json" else _from_headers(delivery.header)
    if not found.complete:
        return event
    tags = [f"{name}:{value}" for name, value in (("source", found.source), ("subject", found.subject)) if value]
    return refine(event, bounded(found.id), bounded(found.type), found.time_us, tags)


_decode = msgspec.json.Decoder(Attributes).decode  # builds no objects for the data of the event


def _from_json(body: bytes) -> Attributes:
    """The attributes of a body in the JSON event format; none if it is not."""
    if len(body) > PARSED_BYTES_MAX:
        return Attributes()
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return Attributes()
    found.time_us = instant_of_text(found.time)
    return found


def _from_headers(header: bytes) -> Attributes:
    """The attributes of a message in binary mode."""
    found = Attributes()
    for header_name, field in headers_of(header):
        name = _attribute(header_name)
        if name == "time":
            found.time_us = _instant(field)
        elif name in _READ:
            setattr(found, name, text_of(field))
    return found


def _attribute(header_name: str) -> str:
    """The name of the attribute that a header holds; empty if it holds none."""
    lower = header_name.lower()
    return next((lower.removeprefix(prefix) for prefix in _PREFIXES if lower.startswith(prefix)), "")


def _instant(field: Field) -> int | None:
    """The time of the attribute `time`: text, a timestamp of AMQP 0-9-1 in seconds, or one of AMQP 1.0 in milliseconds."""
    if text := text_of(field):
        return instant_of_text(text)
    seconds = instant_of_number(field.value) if field.kind == "T" else None
    return instant_of_number(field.value, per_second=1000) if seconds is None else seconds
