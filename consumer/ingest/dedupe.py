"""Know again what comes twice.

After a lost connection or a crash the broker delivers the unacknowledged window again, flagged `redelivered`. Events of
it that are in the archive already are found by their content. Invariants: only redelivered messages are ever compared;
each archived event stands for one redelivery, so that two equal messages stay two; and without a message id, equality
proves nothing, so such an event is archived again and marked. Memory is bound by the window.
"""

import struct
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from xxhash import xxh3_128_digest

from codec.amqp import decode_header, identify, stable_header, untext
from codec.errors import CodecError
from codec.event import Event
from consumer.ingest.delivery import Delivery, Describe

DELIVERY_COUNT_WARN = 5


def fingerprint(message: Event | Delivery) -> bytes:
    """What is equal for all deliveries of one message: its origin, its header without the broker's counters, its body."""
    parts = (
        untext(message.exchange),
        untext(message.routing_key),
        stable_header(message.header),
    )
    return xxh3_128_digest(struct.pack(">III", *map(len, parts)) + b"".join(parts) + message.body)


class Intake:
    """Turn deliveries into the events to be archived."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._known: dict[bytes, deque[str]] = {}
        self.redelivered = self.dropped = self.marked = 0
        self.delivery_count_max = 0

    def remember(self, archived: Iterable[tuple[str, Event]]) -> None:
        """Begin a generation: these events, with their positions, are durable and may not have been acknowledged."""
        known: defaultdict[bytes, deque[str]] = defaultdict(deque)
        for position, event in archived:
            known[fingerprint(event)].append(position)
        self._known = dict(known)

    def events(self, deliveries: Sequence[Delivery]) -> list[Event]:
        """The events of the deliveries, in order; those that are archived already are left out or marked."""
        describe = self._describe
        return [
            event
            for delivery in deliveries
            if (event := self._known_again(delivery) if delivery.redelivered else describe(delivery)) is not None
        ]

    def _known_again(self, delivery: Delivery) -> Event | None:
        self.redelivered += 1
        self.delivery_count_max = max(self.delivery_count_max, delivery_count(delivery.header))
        event = self._describe(delivery)
        if not self._known:
            return event
        key = fingerprint(delivery)
        positions = self._known.get(key)
        if not positions:
            return event
        first = positions.popleft()
        if identify(delivery.header)[0]:
            self.dropped += 1
            return None
        self.marked += 1
        return event._replace(duplicate=first)


def delivery_count(header: bytes) -> int:
    """How often a quorum queue has delivered the message before; 0 if it does not say."""
    try:
        headers = decode_header(header).get("headers", ())
    except CodecError:
        return 0
    assert isinstance(headers, tuple), "a table decodes to pairs"
    return max(
        (field.value for name, field in headers if name == "x-delivery-count" and isinstance(field.value, int)),
        default=0,
    )
