"""Deliveries that real software made and a real broker delivered, from `tests/data/presets`."""

from pathlib import Path

from codec import jsonl
from codec.event import Event
from consumer.amqp.delivery import Delivery
from consumer.ingest.describe import Describer, describe

DIRECTORY = Path(__file__).parents[1] / "data" / "presets"


def golden(name: str) -> list[Delivery]:
    """The deliveries of a file, in the order in which they arrived."""
    events = [jsonl.decode(line) for line in (DIRECTORY / f"{name}.jsonl").read_bytes().splitlines()]
    found = [
        Delivery(tag, one.redelivered, one.exchange, one.routing_key, one.header, one.body, one.arrived_us)
        for tag, one in enumerate(events, 1)
        if one is not None
    ]
    assert len(found) == len(events)
    return found


def by_key(name: str) -> dict[str, Delivery]:
    """The deliveries of a file by their routing key; of several with one key, the first."""
    return {one.routing_key: one for one in reversed(golden(name))}


def refined(describer: Describer, delivery: Delivery) -> Event:
    """The event of a delivery as the describer refines it."""
    return describer(delivery, describe(delivery))
