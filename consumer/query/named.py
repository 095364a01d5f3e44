"""Find events by the ID or position that a user names, for `get`, `delete` and `undelete`.

A text of the form `a1-00000007:41` is always a position and never an ID. Every event has a position, also an event without an ID.
Invariant: the checksum of each index is verified before the index is used, so no event is missed.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path

from codec.event import Event
from consumer.archive.location import Location, local_only
from consumer.archive.position import Position
from consumer.archive.reading.catalog import ArchiveMatch, Wanted, copies_of, look_at
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.reader import open_archive
from consumer.archive.reading.tombstones import Tombstones, add_tombstones, remove_tombstones
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal
from consumer.query.query import Query
from consumer.query.search import read_events


class Visibility(Enum):
    """Which of the named events are wanted."""

    SHOWN = auto()  # events that readers show: deleted in no copy of the archive
    KEPT = auto()  # events that at least one copy holds without deletion
    DELETED = auto()  # events that are deleted in at least one copy, and not compacted


@dataclass(frozen=True)
class EventName:
    """The ID or the position that a user named."""

    text: str
    position: Position | None

    @classmethod
    def parse(cls, text: str) -> "EventName":
        """Raises Fatal for an empty text: it would name all events without an ID."""
        if not text:
            what = "an empty id names every event without an id"
            raise Fatal(Exit.SETTINGS, what, "name one by its position, which `search --id ''` prints")
        try:
            return cls(text, Position.parse(text))
        except ValueError:
            return cls(text, None)

    def __str__(self) -> str:
        return f"{'id' if self.position is None else 'position'} {self.text!r}"

    @property
    def wanted(self) -> Wanted:
        """The condition for the catalog to find the events."""
        return Wanted(ids=frozenset({self.text})) if self.position is None else Wanted(archive=self.position.archive)

    def may_be_in(self, numbers: Container[int]) -> bool:
        """Whether the name can mean an event with one of these numbers."""
        return self.position is None or self.position.event in numbers


@dataclass(frozen=True)
class NamedEvents:
    """The named events of one archive by their numbers, and the copies of the archive that hold them."""

    name: EventName
    archive: str
    events: dict[int, Event]
    copies: list[ArchiveMatch]

    def positions(self) -> Iterator[tuple[str, Event]]:
        """Text form of the position, and event, in the order of the archive."""
        return ((f"{self.archive}:{number}", event) for number, event in sorted(self.events.items()))


def find_named(
    paths: Sequence[Location],
    name: EventName,
    visibility: Visibility,
    faults: list[ReadFault],
    verify_filters: bool = True,
) -> Iterator[NamedEvents]:
    """The named events of each archive below the paths. Faults are added to `faults`."""
    for copies in copies_of(paths, name.wanted, verify_filters):
        everywhere = Tombstones.union(entry.tombstones for entry in copies)
        named = NamedEvents(name, copies[0].id, {}, [])
        for entry in copies:
            faults += entry.faults
            hidden = everywhere if visibility is Visibility.SHOWN else entry.tombstones
            if found := _events(entry, hidden, name, visibility is Visibility.DELETED, faults):
                named.events.update(found)
                named.copies.append(entry)
        if named.events:
            yield named


def find_named_with_duplicates(
    paths: Sequence[Location], name: EventName, visibility: Visibility, faults: list[ReadFault]
) -> list[NamedEvents]:
    """Like `find_named`. If a position names the first of equal events, also its duplicates, because they hold the same bytes."""
    found = list(find_named(paths, name, visibility, faults))
    if name.position is None:
        return found  # duplicates have the ID of the first event
    both = (Visibility.KEPT, Visibility.DELETED)  # a duplicate may have arrived after the first event was deleted
    firsts = [one for kind in both for named in find_named(paths, name, kind, []) for one in named.events.values()]
    ids = {first.id for first in firsts if not first.duplicate}
    for position in sorted({position for id in ids for position in _duplicates_of(paths, id, name.text, faults)}):
        found += find_named(paths, EventName.parse(position), visibility, faults)
    faults[:] = dict.fromkeys(faults)
    return found


def _duplicates_of(paths: Sequence[Location], id: str, first: str, faults: list[ReadFault]) -> Iterator[str]:
    """The positions of the events with this ID that are duplicates of the event at the position `first`."""
    wanted = Wanted(ids=frozenset({id}))
    for copies in copies_of(paths, wanted, verify_filters=True):
        for entry in copies:
            faults += entry.faults
            for batch in entry.batches:
                read = read_events(entry.path, batch, Tombstones(), Query(wanted))
                faults += read.faults
                yield from (f"{entry.id}:{number}" for number, event in read.events if event.duplicate == first)


def _events(
    entry: ArchiveMatch, hidden: Tombstones, name: EventName, deleted: bool, faults: list[ReadFault]
) -> dict[int, Event]:
    """The named events of one file, by their numbers. `deleted`: only those that `hidden` holds."""
    found: dict[int, Event] = {}
    for batch in entry.batches:
        numbers = range(batch.header.first_event, batch.header.first_event + batch.header.events)
        if not name.may_be_in(numbers) or (deleted and not hidden.within(batch.header)):
            continue
        read = read_events(entry.path, batch, Tombstones() if deleted else hidden, Query(name.wanted))
        faults += read.faults
        found.update(
            (number, event)
            for number, event in read.events
            if name.may_be_in((number,)) and (not deleted or number in hidden.events)
        )
    return found


def delete(disk: Disk, named: NamedEvents, now: str) -> int:
    """Delete events in every copy, because each copy has its own tombstones. `now`: time of the deletion, as text.

    Returns the number of events. Raises DeedboxError and OSError.
    """
    for entry in named.copies:
        with open_archive(local_only(entry.path, "delete")) as archive:
            add_tombstones(disk, archive, sorted(named.events), named.name.text, now)
    return len(named.events)


def undelete(disk: Disk, named: NamedEvents) -> int:
    """Show deleted events again, in every copy. Returns the number of events. Raises DeedboxError and OSError."""
    shown = [0]
    for entry in named.copies:
        with open_archive(local_only(entry.path, "undelete")) as archive:
            shown.append(remove_tombstones(disk, archive, partial(_not_compacted, archive.path, named.name)))
    return max(shown)


def _not_compacted(path: Path, name: EventName) -> list[int]:
    """The numbers of the deleted events of a file that `compact` has not removed."""
    entry = look_at(path, name.wanted, verify_filters=True)
    return list(_events(entry, entry.tombstones, name, True, []))
