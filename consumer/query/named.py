"""Events that a person names, by id or by position: what `get` prints, `delete` hides and `undelete` shows again.

A text of the form `a1-00000007:41` is a position and never an id. Every event has a position, also one without an id. Invariant: an
index is believed only if its checksum holds, so that no event seems to be missing.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from codec.errors import Corrupt
from codec.event import Event
from consumer.archive.position import Position
from consumer.archive.reading.catalog import ArchiveMatch, Wanted, copies_of, look_at
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.reader import open_archive
from consumer.archive.reading.tombstones import Tombstones, add_tombstones, remove_tombstones
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal
from consumer.query.query import Query
from consumer.query.search import read_events

Which = Literal["shown", "kept", "deleted"]


@dataclass(frozen=True)
class Name:
    """What a person named."""

    text: str
    position: Position | None

    @classmethod
    def parse(cls, text: str) -> "Name":
        """Raises Fatal for an empty text: many events may have no id."""
        if not text:
            what = "an empty id names every event without an id"
            raise Fatal(Exit.SETTINGS, what, "name one by its position, which `search --id ''` prints")
        try:
            return cls(text, Position.parse(text))
        except Corrupt:
            return cls(text, None)

    def __str__(self) -> str:
        return f"{'id' if self.position is None else 'position'} {self.text!r}"

    @property
    def wanted(self) -> Wanted:
        """Where such events may be."""
        return Wanted(ids=frozenset({self.text})) if self.position is None else Wanted(archive=self.position.archive)

    def may_be_in(self, numbers: Container[int]) -> bool:
        """Whether an event with one of these numbers may be meant."""
        return self.position is None or self.position.event in numbers


@dataclass(frozen=True)
class Hits:
    """Events of one archive by their numbers, the entries of its copies that hold them, and the name that found them."""

    name: Name
    archive: str
    events: dict[int, Event]
    copies: list[ArchiveMatch]

    def positions(self) -> Iterator[tuple[str, Event]]:
        """Position and event of each."""
        return ((f"{self.archive}:{number}", event) for number, event in sorted(self.events.items()))


def find_named(
    paths: Sequence[Path], name: Name, which: Which, faults: list[ReadFault], verify_filters: bool = True
) -> Iterator[Hits]:
    """The named events of each archive below the paths.

    `which`: those that readers show; those of which a copy is not deleted; or those of which a copy is deleted and not compacted.
    """
    for copies in copies_of(paths, name.wanted, verify_filters):
        everywhere = Tombstones.union(entry.tombstones for entry in copies)
        hits = Hits(name, copies[0].id, {}, [])
        for entry in copies:
            faults += entry.faults
            hidden = everywhere if which == "shown" else entry.tombstones
            if found := _events(entry, hidden, name, which == "deleted", faults):
                hits.events.update(found)
                hits.copies.append(entry)
        if hits.events:
            yield hits


def with_marked(paths: Sequence[Path], name: Name, which: Which, faults: list[ReadFault]) -> list[Hits]:
    """The same; if a position names the first of equal events, also those that are marked with it, because they hold the same bytes."""
    found = list(find_named(paths, name, which, faults))
    if name.position is None:
        return found  # marked events have the id of the first
    places: tuple[Which, ...] = ("kept", "deleted")  # a marked event may have come after the first was deleted
    firsts = [one for place in places for hits in find_named(paths, name, place, []) for one in hits.events.values()]
    ids = {first.id for first in firsts if not first.duplicate}
    for position in sorted({position for id in ids for position in _marked_with(paths, id, name.text, faults)}):
        found += find_named(paths, Name.parse(position), which, faults)
    faults[:] = dict.fromkeys(faults)
    return found


def _marked_with(paths: Sequence[Path], id: str, first: str, faults: list[ReadFault]) -> Iterator[str]:
    """The positions of the events with this id that are marked with the position of the first."""
    wanted = Wanted(ids=frozenset({id}))
    for copies in copies_of(paths, wanted, verify_filters=True):
        for entry in copies:
            faults += entry.faults
            for batch in entry.batches:
                read = read_events(entry.path, batch, Tombstones(), Query(wanted))
                faults += read.faults
                yield from (f"{entry.id}:{number}" for number, event in read.events if event.duplicate == first)


def _events(
    entry: ArchiveMatch, hidden: Tombstones, name: Name, deleted: bool, faults: list[ReadFault]
) -> dict[int, Event]:
    """The named events of one file, by their numbers."""
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


def hide(disk: Disk, hits: Hits, now: str) -> int:
    """Hide the events in every copy, because each has its own tombstones. Gives how many. Raises DeedboxError and OSError."""
    for entry in hits.copies:
        with open_archive(entry.path) as archive:
            add_tombstones(disk, archive, sorted(hits.events), hits.name.text, now)
    return len(hits.events)


def show_again(disk: Disk, hits: Hits) -> int:
    """Show deleted events again, in every copy. Gives how many. Raises DeedboxError and OSError."""
    shown = [0]
    for entry in hits.copies:
        with open_archive(entry.path) as archive:
            shown.append(remove_tombstones(disk, archive, partial(_still_there, archive.path, hits.name)))
    return max(shown)


def _still_there(path: Path, name: Name) -> list[int]:
    """The deleted events of a file that no compaction has taken out."""
    entry = look_at(path, name.wanted, verify_filters=True)
    return list(_events(entry, entry.tombstones, name, True, []))
