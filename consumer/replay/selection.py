"""The events that a replay publishes, in the order of their times across all archives, each with its message.

Invariants: an event is selected only after its sync has returned, so that nothing is published that a power cut can take back. An event with a
receipt is left out, and a batch whose events all have one is not read. Events that are archived after the selection was planned belong to the
next replay.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from codec.event import Event
from consumer.amqp.outgoing import Outgoing
from consumer.archive.ledger import read as read_ledger
from consumer.archive.location import Location
from consumer.archive.naming import parse_open
from consumer.archive.reading.catalog import ArchiveMatch
from consumer.archive.reading.found import StoredBatch
from consumer.archive.watermark import durable_events
from consumer.disk.durable import Disk
from consumer.query.batches import event_numbers
from consumer.query.query import Query
from consumer.query.search import Placed, Search
from consumer.replay.marker import Marker
from consumer.replay.ranges import Ranges
from consumer.replay.receipts import ArchiveHead
from consumer.replay.target import Route, Unpublishable

CHUNK_EVENTS, CHUNK_BYTES = 500, 1 << 20
CHUNK_S = 0.2  # an event that was found waits this long for others


class Selected(NamedTuple):
    """A selected event. `message`: what is published, or why nothing can be."""

    archive: ArchiveHead
    number: int
    time_us: int
    exchange: str  # of the event, for a report if there is no message
    routing_key: str
    message: Outgoing | Unpublishable

    @property
    def position(self) -> str:
        """Text form of the position of the event."""
        return f"{self.archive.name}:{self.number}"


class Selection:
    """`search`: its faults, duplicates and cost. `left_out`: how many events were not selected because they have a receipt.

    `left_out_at_most`: `left_out` may count events that the query does not select, because their batches were not read.
    """

    def __init__(
        self,
        paths: Sequence[Location],
        query: Query,
        route: Route,
        marker: Marker | None = None,
        receipts: Mapping[ArchiveHead, Ranges] | None = None,
    ) -> None:
        self.search = Search(paths, query, verify_filters=True, choose=self._choose)
        self._route, self._marker, self._receipts = route, marker, receipts or {}
        self.left_out, self.left_out_at_most = 0, False
        self._selects_all = not any(query.checks())
        self._archives: list[tuple[ArchiveHead, Ranges | None]] = []  # by the index of the search
        self._steps: Generator[Placed | None, None, None] | None = None

    def _choose(self, entry: ArchiveMatch) -> Sequence[StoredBatch]:
        archive = ArchiveHead(entry.id, entry.identity[1] if entry.identity else "")
        done = self._receipts.get(archive)
        self._archives.append((archive, done))
        batches = durable_batches(entry)
        if done is None:
            return batches
        rest = [batch for batch in batches if not done.covers(event_numbers(batch))]
        self.left_out += sum(batch.header.events for batch in batches) - sum(batch.header.events for batch in rest)
        self.left_out_at_most |= len(rest) < len(batches) and not self._selects_all
        return rest

    def take(self) -> list[Selected]:
        """The next events; an empty list at the end. Blocks while archives are read; call it in one thread at a time."""
        if self._steps is None:
            self._steps = self.search.placed_steps()
        chunk: list[Selected] = []
        size, until_s = 0, time.monotonic() + CHUNK_S
        for placed in self._steps:
            if placed is None:
                if chunk and time.monotonic() > until_s:
                    break
                continue
            archive, done = self._archives[placed.archive_index]
            if done is not None and placed.number in done:
                self.left_out += 1
                continue
            event = placed.event
            chunk.append(self._selected(archive, placed.number, event))
            size += len(event.body)
            if len(chunk) == CHUNK_EVENTS or size >= CHUNK_BYTES:
                break
        return chunk

    def _selected(self, archive: ArchiveHead, number: int, event: Event) -> Selected:
        message = self._route(event)
        if self._marker is not None and isinstance(message, Outgoing):
            message = self._marker.mark(message, f"{archive.name}:{number}")
        return Selected(archive, number, event.time_us, event.exchange, event.routing_key, message)

    def close(self) -> None:
        """Stop reading."""
        self.search.stop()
        if self._steps is not None:
            self._steps.close()


def durable_batches(entry: ArchiveMatch) -> Sequence[StoredBatch]:
    """Those of the batches whose sync has returned. A sealed archive, and any archive in object storage, was synced as a whole."""
    path = entry.path.resolve() if isinstance(entry.path, Path) else None  # a link: the watermark is beside the archive
    if path is None or parse_open(path) is None or not entry.batches:
        return entry.batches
    durable = _durable_events(path)
    return (
        entry.batches if durable is None else [batch for batch in entry.batches if event_numbers(batch).stop <= durable]
    )


def _durable_events(path: Path) -> int | None:
    """How many events of an open archive are durable; None for all of its whole batches."""
    archive = parse_open(path)
    assert archive is not None, "open"
    try:
        durable = durable_events(Disk(), path)
    except FileNotFoundError:
        return None  # sealed at this moment
    if durable is None:
        return None
    state = read_ledger(
        path.parent / f"{archive.instance}.ledger"
    )  # it counts the events of an archive that was given up
    return max(durable, state.committed_events(archive.sequence) if state else 0)
