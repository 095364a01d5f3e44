"""The newest events, and the events that are archived after them: the first follower. Its effect is to print.

Invariants: the newest events come in the order of their arrival; after them comes each event once, in the order of its instance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from codec.event import Event
from consumer.archive.location import Location
from consumer.archive.reading.duplicates import Duplicates
from consumer.archive.reading.fault import ReadFault
from consumer.follow.checkpoint import Checkpoint, Confirmed, StreamName
from consumer.follow.follower import FollowedBatch, Follower
from consumer.follow.newest import Newest
from consumer.follow.streams import Key
from consumer.query.query import EventFilter, Query
from consumer.query.search import Found
from consumer.watch.backend import Backend

# Bounds of one TailBatch, unless a single archived batch exceeds them. A checkpoint costs two syncs, so small batches share one.
EVENTS_MAX = 1000
BYTES_MAX = 8 << 20
READ_MAX = 10_000  # events that were read for it, wanted or not
STORE_S = 1.0


@dataclass(frozen=True, slots=True)
class TailBatch:
    """The wanted events of some archived batches, and the last batch of each stream, without its events. Call `Tail.confirm` after they were used."""

    found: Sequence[Found]
    last: Sequence[FollowedBatch]


class Tail:
    """`newest` or `resume` first, then `read` or `batches` again and again. `faults`: what could not be read, until the caller clears the list."""

    def __init__(self, paths: Sequence[Path], query: Query | None = None) -> None:
        self.follower = Follower(paths)
        self.faults = self.follower.faults
        self._query = query or Query()
        self.duplicates = Duplicates(self._query.duplicates)
        self._judge = EventFilter(self._query, self._report)
        self._path: Location = Path()  # of the archive whose events are judged
        self._left: list[Found] = []  # of a batch in which the reader of `read` stopped
        self._checkpoint: Checkpoint | None = None
        self._directory = Path()
        self._confirmed: dict[StreamName, Confirmed] = {}
        self._stored_at = monotonic()

    def _accepts(self, path: Location, number: int, event: Event) -> bool:
        self._path = path
        return self._judge(event, "event ", number) and self.duplicates.shows(event)

    def _report(self, reason: str) -> None:
        self.faults.append(ReadFault(self._path, None, reason))

    def newest(self, count: int) -> list[Found]:
        """The events that arrived last, in the order of their arrival; `read` continues exactly after the archives' ends."""
        candidates = self.follower.start_at_end()
        if not count:
            return []
        newest = Newest(count, self._query.wanted, self._accepts)
        found = newest.of(candidates)
        self.faults += newest.faults
        return found

    def resume(self, checkpoint: Checkpoint, directory: Path) -> None:
        """Go on after the confirmed events of the checkpoint; from the beginning if it is new. Raises Fatal, as `Follower.resume` does."""
        self._checkpoint, self._directory = checkpoint, directory
        self.follower.resume(checkpoint.confirmed, directory)

    def confirm(self, batch: TailBatch) -> None:
        """The events of the batch were used: store this, durably. Without a wanted event, at most once in STORE_S. Raises DeedboxError."""
        self.note(batch)
        if batch.found or monotonic() - self._stored_at >= STORE_S:
            self.store()

    def note(self, batch: TailBatch) -> None:
        """The events of the batch were used: `store` or `store_if_due` stores this later."""
        if self._checkpoint is not None:
            fresh = {followed.name(self._directory): followed.confirmed() for followed in batch.last}
            self._confirmed |= fresh
            self.follower.confirmed |= fresh

    def store_if_due(self) -> None:
        """Store what was noted, at most once in STORE_S. Raises DeedboxError."""
        if self._confirmed and monotonic() - self._stored_at >= STORE_S:
            self.store()

    def store(self) -> None:
        """Store everything that was confirmed, durably. Raises DeedboxError."""
        if self._checkpoint is not None:
            self._checkpoint.store(self._confirmed)
            self._confirmed.clear()
            self._stored_at = monotonic()

    def batches(self) -> Iterator[TailBatch]:
        """What was archived since, in the order of each instance. Small archived batches come together, if all of them are there already."""
        found: list[Found] = []
        last: dict[Key, FollowedBatch] = {}
        size = read = 0
        for followed in self.follower.read():
            fresh = list(self._wanted(followed))
            found += fresh
            size += sum(len(one.event.body) for one in fresh)
            last[followed.key] = replace(
                followed, events=()
            )  # of a batch without a wanted event nothing stays in memory
            read += len(followed.events) or 1
            if len(found) >= EVENTS_MAX or size >= BYTES_MAX or read >= READ_MAX:
                yield TailBatch(found, list(last.values()))
                found, last, size, read = [], {}, 0, 0
        if last:
            yield TailBatch(found, list(last.values()))

    def _wanted(self, followed: FollowedBatch) -> Iterator[Found]:
        for number, event in followed.events:
            if self._accepts(followed.path, number, event):
                yield Found(event, f"{followed.archive}:{number}")

    def read(self) -> Iterator[Found]:
        """The events of these batches. If the iteration is stopped, the next one continues with the next event."""
        yield from self._take_left()
        for batch in self.batches():
            self._left = list(reversed(batch.found))
            yield from self._take_left()

    def _take_left(self) -> Iterator[Found]:
        while self._left:
            yield self._left.pop()

    def wait(self, backend: Backend, timeout_s: float) -> None:
        """Wait until something may have been archived."""
        self.follower.wait(backend, timeout_s)

    def close(self) -> None:
        """Close the archives."""
        self.follower.close()
