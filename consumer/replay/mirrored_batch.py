"""Publish the events of one batch to another broker, and decide about those that it does not take.

Invariants: an event counts as done only after the broker confirmed it, or after it was recorded as set aside. An event that is done is not
published again by this process, also if its batch is read again because another event was not taken.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from consumer import log
from consumer.amqp.confirmed_publisher import ConfirmedPublisher
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Numbered, Settled
from consumer.disk.durable import Disk
from consumer.query.search import Found
from consumer.replay import log_events
from consumer.replay.hindrance import Hindrance, Patience, hindrance_of
from consumer.replay.marker import Marker, is_marked
from consumer.replay.set_aside import record
from consumer.replay.target import Route, Unpublishable


class Hindered(NamedTuple):
    """An event that was not taken, and the reason."""

    found: Found
    reason: str


@dataclass
class Decided:
    """What was decided about the events that were not taken. `again`: they are tried again later."""

    again: list[Hindered] = field(default_factory=list)
    aside: list[Hindered] = field(default_factory=list)


class BatchPublisher:
    """`published`, `set_aside`: how many events since the start. `aside_path`: the file that records events that are set aside."""

    def __init__(
        self, route: Route, marker: Marker, relay: bool, patience: Patience, aside_path: Path, shown: str
    ) -> None:
        self.published = self.set_aside = 0
        self._route, self._marker, self._relay = route, marker, relay
        self._patience, self._aside_path, self._shown = patience, aside_path, shown
        self._number = 0
        self._sent: dict[int, Found] = {}
        self._not_taken: list[tuple[Hindrance, Hindered]] = []
        self._done: set[str] = set()  # positions of events of batches that are not complete
        self._disk = Disk()

    def settled(self, settled: list[Settled]) -> None:
        """Take the outcomes of messages. Called by the publisher."""
        for one in settled:
            found = self._sent.pop(one.number, None)
            if found is None:
                continue  # of a connection that is gone
            hindrance = hindrance_of(one)
            if hindrance is None:
                self.published += 1
                self._done.add(found.position)
            else:
                self._not_taken.append((hindrance, Hindered(found, one.reason)))

    async def publish(self, batch: Sequence[Found], publisher: ConfirmedPublisher) -> list[Hindered]:
        """Publish what is not done, and wait for all outcomes. Return the events that must be tried again; with none, the batch is complete.

        Raises Retry or Fatal if the connection is lost, DeedboxError if the record of what is set aside cannot be written.
        """
        self._sent.clear()
        self._not_taken.clear()
        await publisher.send(list(self._messages(batch)))
        await publisher.drain()
        decided = self._decide()
        if decided.aside:
            self._put_aside(decided.aside)
        if not decided.again:
            self._done.difference_update(found.position for found in batch)
        return decided.again

    def _messages(self, batch: Sequence[Found]) -> Iterator[Numbered]:
        for found in batch:
            if found.position in self._done or not (self._relay or not is_marked(found.event.header)):
                continue
            message = self._message(found)
            if isinstance(message, Unpublishable):
                self._not_taken.append((Hindrance.MESSAGE, Hindered(found, message.reason)))
                continue
            self._number += 1
            self._sent[self._number] = found
            yield self._number, message

    def _message(self, found: Found) -> Outgoing | Unpublishable:
        message = self._route(found.event)
        return message if isinstance(message, Unpublishable) else self._marker.mark(message, found.position)

    def _decide(self) -> Decided:
        """Divide the events that were not taken. The patience is asked once for all of them."""
        decided = Decided()
        kinds = {hindrance for hindrance, _ in self._not_taken}
        over = Hindrance.ROUTE in kinds and self._patience.is_over(time.monotonic())
        for hindrance, hindered in self._not_taken:
            aside = hindrance is Hindrance.MESSAGE or (hindrance is Hindrance.ROUTE and over)
            (decided.aside if aside else decided.again).append(hindered)
        return decided

    def _put_aside(self, hindered: Sequence[Hindered]) -> None:
        record(self._disk, self._aside_path, hindered)
        self.set_aside += len(hindered)
        self._done.update(one.found.position for one in hindered)
        first = hindered[0]
        log.emit(
            log_events.MIRROR_SET_ASIDE, destination=self._shown, count=len(hindered), position=first.found.position,
            exchange=first.found.event.exchange, routing_key=first.found.event.routing_key, reason=first.reason,
            path=str(self._aside_path),
        )  # fmt: skip
