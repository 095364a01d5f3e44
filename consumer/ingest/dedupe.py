"""Mark what comes twice. Nothing is ever left out: a mark is a statement about equality, and its reader decides.

After a lost connection or a crash the broker delivers the unacknowledged window again, flagged `redelivered`. An event of it that equals
an archived one is archived too, and marked with the position of the first. Invariants: only redelivered messages are compared; an
archived event stands for one redelivery, so that two equal messages are two unmarked events when both came twice; what is known
is forgotten after KNOWN_S. Memory is bounded by KNOWN_MAX.
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
from consumer.amqp.delivery import Delivery, Describe

DELIVERY_COUNT_WARN = 5
KNOWN_S = (
    30 * 60.0
)  # after this time without an acknowledgement RabbitMQ has closed the channel, and its messages have come again
KNOWN_MAX = 8 * 65_535  # archived events that are known, at most; those that were learned first are forgotten first
RECALL_SHARE = 0.1  # of the time, at most, is spent on asking the archives of other instances in vain

Archived = tuple[str, Event]  # the position of an archived event, and the event


class Recent(Protocol):
    """The archived events that may come again."""

    def window(self) -> Iterable[Archived]:
        """All of them."""

    def changed(self) -> Iterable[Archived]:
        """Those of other instances that were archived, or became durable, since the last call."""


def fingerprint(message: Event | Delivery) -> bytes:
    """What is equal for all deliveries of one message: its origin, its header without the broker's counters, its body."""
    parts = (
        encode_text(message.exchange),
        encode_text(message.routing_key),
        stable_header(message.header),
    )
    return xxh3_128_digest(struct.pack(">III", *map(len, parts)) + b"".join(parts) + message.body)


class Deduplicator:
    """Turn deliveries into the events to be archived. Used by the writer thread alone."""

    def __init__(self, describe: Describe, recent: Recent, clock: Callable[[], float] = time.monotonic) -> None:
        self._describe, self._recent, self._clock = describe, recent, clock
        self._known: dict[bytes, dict[str, float]] = {}  # by fingerprint: positions, and when each is forgotten
        self._recall_at = 0.0
        self._begun = clock()
        self.redelivered = self.marked = 0
        self.passed = False
        self.delivery_count_max = 0

    def begin(self) -> None:
        """Begin a generation: recall what may come again in it."""
        self._known.clear()
        self._learn(self._recent.window())
        self._begun = self._clock()
        self.passed = False

    @property
    def forgotten(self) -> bool:
        """Whether the generation has lasted so long that nothing from before it comes again.

        New messages are no proof of that: the broker may return those of a dead channel later than it delivers new ones.
        """
        return self._clock() - self._begun >= KNOWN_S

    def events(self, deliveries: Sequence[Delivery]) -> list[Event]:
        """The events of the deliveries, one each and in order. `passed`: new messages follow those that came twice."""
        events = list(map(self._describe, deliveries))
        again = [index for index, delivery in enumerate(deliveries) if delivery[1]]
        if again:
            self._mark(deliveries, events, again)
        self.passed = self.passed or not deliveries[-1].redelivered
        return events

    def _mark(self, deliveries: Sequence[Delivery], events: list[Event], again: Sequence[int]) -> None:
        self.redelivered += len(again)
        counts = [delivery_count(deliveries[index].header) for index in again]
        self.delivery_count_max = max(self.delivery_count_max, *counts)
        missing = [
            (index, key)
            for index in again
            if not self._known_again(events, index, key := fingerprint(deliveries[index]))
        ]
        if missing and self._clock() >= self._recall_at:
            self._recall(events, missing)

    def _recall(self, events: list[Event], missing: Sequence[tuple[int, bytes]]) -> None:
        """Ask the archives of other instances. Only if the answer was of no use, the next question waits."""
        began = self._clock()
        self._learn(self._recent.changed())
        ended = self._clock()
        found = [self._known_again(events, index, key) for index, key in missing]
        if not any(found):
            self._recall_at = ended + (ended - began) * (1 / RECALL_SHARE - 1)

    def _known_again(self, events: list[Event], index: int, key: bytes) -> bool:
        """Mark an event if an archived one is known that stands for it, which then stands for no other."""
        firsts, now = self._known.get(key, {}), self._clock()
        while firsts:
            first = next(iter(firsts))
            if firsts.pop(first) > now:
                events[index] = events[index]._replace(duplicate=first)
                self.marked += 1
                return True
        return False

    def _learn(self, archived: Iterable[Archived]) -> None:
        """An archived event that is marked itself stands for the same message as the first: together they count once."""
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
    """How often a quorum queue has delivered the message before; 0 if it does not say."""
    try:
        headers = decode_header(header, shallow=True).get("headers", ())
    except CodecError:
        return 0
    assert isinstance(headers, tuple), "a table decodes to pairs"
    return max(
        (field.value for name, field in headers if name == "x-delivery-count" and isinstance(field.value, int)),
        default=0,
    )
