"""Deliveries as the broker sends them, and their frames."""

import struct

from consumer.amqp.delivery import Delivery
from tests.support.wire import frame, short


def delivery(tag: int, body: bytes = b"body", **changes: object) -> Delivery:
    made = Delivery(tag, False, "exchange", "key", b"\0\0", body, 1_763_741_700_000_000 + tag)
    return made._replace(**changes)


def frames(found: Delivery, channel: int = 1, frame_max: int = 4096, consumer: bytes = b"ctag") -> list[bytes]:
    """The frames of a delivery: method, content header, bodies."""
    method = struct.pack(">HH", 60, 60) + short(consumer) + struct.pack(">QB", found.tag, found.redelivered)
    method += short(found.exchange.encode("utf-8", "surrogateescape")) + short(
        found.routing_key.encode("utf-8", "surrogateescape")
    )
    content = struct.pack(">HHQ", 60, 0, len(found.body)) + found.header
    step = frame_max - 8
    bodies = [frame(3, channel, found.body[at : at + step]) for at in range(0, len(found.body), step)]
    return [frame(1, channel, method), frame(2, channel, content), *bodies]
