"""Preset `otel`: the trace of OpenTelemetry to which a message belongs.

Source: W3C Trace Context, section 3.2 (`traceparent`). Invariant: a `traceparent` that is not valid is ignored.
"""

import re
from collections.abc import Iterator

from codec.amqp import Table
from codec.event import Event
from consumer.amqp.delivery import Delivery
from consumer.ingest.presets.values import headers_of, refine, table_of, text_of

_NAME = b"traceparent"
_NAMES = ("traceparent", "cloudevents:traceparent", "cloudevents_traceparent", "ce-traceparent")
# Version, trace id, parent id, flags. A version after 00 may have more parts.
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", re.DOTALL
)
_DEPTH_MAX = 2  # the tracer of RabbitMQ has the headers of the traced message in `properties.headers`


def describe_trace(delivery: Delivery, event: Event) -> Event:
    """Add the tag `trace:` and the trace id, from the header `traceparent` in any case."""
    if _NAME not in delivery.header.lower():
        return event
    return refine(event, tags=[f"trace:{trace}" for trace in _traces(headers_of(delivery.header))])


def _traces(headers: Table, depth: int = 0) -> Iterator[str]:
    """The trace ids of headers, also of a traced message and of an attribute of CloudEvents."""
    for name, field in headers:
        if name.lower() in _NAMES and (trace := trace_of(text_of(field))):
            yield trace
        if depth < _DEPTH_MAX and name in ("properties", "headers"):
            yield from _traces(table_of(field), depth + 1)


def trace_of(traceparent: str) -> str:
    """The trace id of a `traceparent`; empty if it is not valid."""
    match = _TRACEPARENT.fullmatch(traceparent.strip(" \t"))
    if match is None or (match[1] == "00" and match[3]):
        return ""
    return match[2]
