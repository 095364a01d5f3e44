"""Mark redelivered messages that equal an archived event.

After a crash or a lost connection the broker delivers the unacknowledged messages again, flagged `redelivered`. A message
that equals an archived event is archived again and marked with the position of that event. Readers hide marked events by
default.
Invariants: no message is dropped. Only redelivered messages are compared. An archived event matches one redelivery; so if
two equal messages are both delivered twice, two of the four events are marked. Archived events are forgotten after KNOWN_S
seconds, and KNOWN_MAX bounds their number.
"""

import struct
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from xxhash import xxh3_128_digest

from codec.amqp import decode_header, encode_text
from codec.errors import CodecError
from codec.event import Event
from codec.stable import stable_header
from consumer.amqp.delivery import Delivery
from consumer.ingest.describe import Describe

DELIVERY_COUNT_WARN = 5
# RabbitMQ closes a channel that sends no ack for this time, and returns its messages.
KNOWN_S = 30 * 60.0
KNOWN_MAX = 8 * 65_535  # maximum number of archived events in memory; the oldest are forgotten first
REFRESH_SHARE = 0.1  # maximum share of the time for reading archives of other instances without a match

ArchivedEvent = tuple[str, Event]  # position and event


class RedeliveryCandidates(Protocol):
    """The archived events whose messages the broker may deliver again."""

    def window(self) -> Iterable[ArchivedEvent]:
        """Return all of them."""

    def changed(self) -> Iterable[ArchivedEvent]:
        """Return those of other instances that became durable since the last call."""


def fingerprint(message: Event | Delivery) -> bytes:
    """Return a hash that is the same for all deliveries of a message.

    It covers exchange, routing key, body, and the header without the counters that the broker adds.
    """
    parts = (
        encode_text(message.exchange),
        encode_text(message.routing_key),
        stable_header(message.header),
    )
    return xxh3_128_digest(struct.pack(">III", *map(len, parts)) + b"".join(parts) + message.body)


class Deduplicator:
    """Makes the events to be archived from deliveries. Used on the writer thread only.

    `new_messages`: a message that was not redelivered has arrived in this generation.
    """

    def __init__(
        self, describe: Describe, candidates: RedeliveryCandidates, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._describe, self._candidates, self._clock = describe, candidates, clock
        self._known: dict[bytes, dict[str, float]] = {}  # by fingerprint: positions, and when to forget each
        self._refresh_at = 0.0
        self._begun = clock()
        self.redelivered = self.marked = 0
        self.new_messages = False
        self.delivery_count_max = 0

    def begin(self) -> None:
        """Begin a generation: load the archived events whose messages may be delivered again."""
        self._known.clear()
        self._learn(self._candidates.window())
        self._begun = self._clock()
        self.new_messages = False

    @property
    def forgotten(self) -> bool:
        """Whether no message from before the generation can be delivered again, because of the age of the generation.

        New messages do not prove this: the broker may return the messages of a dead channel after it has delivered new ones.
        """
        return self._clock() - self._begun >= KNOWN_S

    def events(self, deliveries: Sequence[Delivery]) -> list[Event]:
        """Return one event for each delivery, in order. Redeliveries that equal an archived event are marked."""
        events = list(map(self._describe, deliveries))
        again = [index for index, delivery in enumerate(deliveries) if delivery[1]]
        if again:
            self._mark(deliveries, events, again)
        self.new_messages = self.new_messages or not deliveries[-1].redelivered
        return events

    def _mark(self, deliveries: Sequence[Delivery], events: list[Event], again: Sequence[int]) -> None:
        self.redelivered += len(again)
        counts = [delivery_count(deliveries[index].header) for index in again]
        self.delivery_count_max = max(self.delivery_count_max, *counts)
        missing = [
            (index, key)
            for index in again
            if not self._mark_if_known(events, index, key := fingerprint(deliveries[index]))
        ]
        if missing and self._clock() >= self._refresh_at:
            self._refresh(events, missing)

    def _refresh(self, events: list[Event], missing: Sequence[tuple[int, bytes]]) -> None:
        """Read the new events of other instances. If nothing matches, wait before the next time."""
        began = self._clock()
        self._learn(self._candidates.changed())
        ended = self._clock()
        found = [self._mark_if_known(events, index, key) for index, key in missing]
        if not any(found):
            self._refresh_at = ended + (ended - began) * (1 / REFRESH_SHARE - 1)

    def _mark_if_known(self, events: list[Event], index: int, key: bytes) -> bool:
        """Mark the event if a known archived event equals it. That archived event then matches no other redelivery."""
        firsts, now = self._known.get(key, {}), self._clock()
        while firsts:
            first = next(iter(firsts))
            if firsts.pop(first) > now:
                events[index] = events[index]._replace(duplicate=first)
                self.marked += 1
                return True
        return False

    def _learn(self, archived: Iterable[ArchivedEvent]) -> None:
        """Add archived events. One that is itself marked belongs to the same message as the first event and counts once with it."""
        now = self._clock()
        self._known = {
            key: kept for key, firsts in self._known.items()
            if (kept := {first: until for first, until in firsts.items() if until > now})
        }  # fmt: skip
        for position, event in archived:
            self._known.setdefault(fingerprint(event), {})[event.duplicate or position] = now + KNOWN_S
        surplus = sum(map(len, self._known.values())) - KNOWN_MAX
        while surplus > 0:
            surplus -= len(self._known.pop(next(iter(self._known))))


def delivery_count(header: bytes) -> int:
    """Return how often a quorum queue has already delivered the message; 0 if the header has no count."""
    try:
        headers = decode_header(header, shallow=True).get("headers", ())
    except CodecError:
        return 0
    assert isinstance(headers, tuple), "a table decodes to pairs"
    return max(
        (field.value for name, field in headers if name == "x-delivery-count" and isinstance(field.value, int)),
        default=0,
    )
