"""Preset `celery`: the events of Celery's tasks and workers, from the exchange `celeryev`.

Source: celery.events. The body of a message is one event in JSON, or a list of events with the routing key `task.multi`. An event
of a task has `uuid`, the id of the task; an event of a worker has none.
Invariant: a message in another format is left as it is.
"""

from collections.abc import Iterator

import msgspec

from codec.event import Event
from codec.limits import PARSED_BYTES_MAX
from consumer.amqp.delivery import Delivery
from consumer.ingest.presets.values import bounded, instant_of_number, refine

MIXED_TYPE = "task-multi"


class CeleryEvent(msgspec.Struct):
    """The members of an event that are read. `timestamp`: seconds since 1970."""

    type: str
    hostname: str
    timestamp: float
    uuid: str | None = None


_decode = msgspec.json.Decoder(CeleryEvent | list[CeleryEvent]).decode


def describe_celery(delivery: Delivery, event: Event) -> Event:
    """Read id, type and time, and the tags `task:`, `worker:` and `event:` with the type of each event."""
    found = _events(delivery.body)
    if not found:
        return event
    types, ids = {one.type for one in found}, {one.uuid for one in found}
    first_s = min(one.timestamp for one in found)
    return refine(
        event, bounded(ids.pop()) if len(ids) == 1 else "", bounded(types.pop()) if len(types) == 1 else MIXED_TYPE,
        instant_of_number(first_s), _tags(found),
    )  # fmt: skip


def _events(body: bytes) -> list[CeleryEvent]:
    """The events of a body; none if it holds something else."""
    if len(body) > PARSED_BYTES_MAX:
        return []
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return []
    return found if isinstance(found, list) else [found]


def _tags(found: list[CeleryEvent]) -> Iterator[str]:
    for one in found:
        if one.uuid:
            yield f"task:{one.uuid}"
        yield f"worker:{one.hostname}"
        yield f"event:{one.type}"
