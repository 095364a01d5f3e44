"""`Delivery`: one message as the broker delivered it."""

from collections.abc import Sequence
from typing import NamedTuple

OVERHEAD_BYTES = 300  # estimated memory of the Python objects of one delivery


class Delivery(NamedTuple):
    """One basic.deliver with its content, unchanged. A named tuple, because one is created for every message."""

    tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    header: bytes  # the content header from the property flags on
    body: bytes
    arrived_us: int


def size_of(deliveries: Sequence[Delivery]) -> int:
    """Return the estimated memory of the deliveries in bytes."""
    return sum([len(found[5]) + len(found[4]) for found in deliveries]) + OVERHEAD_BYTES * len(deliveries)
