"""The events that a directory of archives must show: the reference of the state machine over the archive log."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from codec.event import Event
from consumer.archive.naming import ArchiveId

Shown = Sequence[tuple[str, Event]]  # position and event, as a reader shows them


def place(position: str) -> tuple[ArchiveId, int]:
    """The archive and the number that a position names."""
    archive, _, number = position.rpartition(":")
    instance, _, sequence = archive.rpartition("-")
    return ArchiveId(instance, int(sequence)), int(number)


@dataclass
class Model:
    """Events by position.

    `acked`: acknowledged, and readers must show them. `deleted`: readers must not show them. `unsure`: a deletion or its reverse did not
    end, so that both is right. `spare`: how many copies of an event may be shown that were written and not acknowledged, by id.
    `lost`: how many events damage took from an archive.
    """

    acked: dict[str, Event] = field(default_factory=dict)
    deleted: dict[str, Event] = field(default_factory=dict)
    unsure: dict[str, Event] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    spare: Counter[str] = field(default_factory=Counter)
    lost: Counter[ArchiveId] = field(default_factory=Counter)
    _last: dict[str, tuple[ArchiveId, int]] = field(default_factory=dict)

    def acknowledge(self, archive: ArchiveId, first: int, events: Iterable[Event]) -> None:
        """An append returned. Positions of an instance only grow."""
        for number, event in enumerate(events, first):
            position = f"{archive}:{number}"
            assert position not in self.known, f"{position} is given twice"
            assert self._last.get(archive.instance, (archive, -1)) < (archive, number), f"{position} is not the newest"
            self._last[archive.instance] = archive, number
            self.acked[position] = event

    @property
    def known(self) -> dict[str, Event]:
        """All acknowledged events that are not damaged."""
        return self.acked | self.deleted | self.unsure

    def attempt(self, events: Iterable[Event]) -> None:
        """An append may have written these, once in each of two archives."""
        for event in events:
            self.spare[event.id] += 2

    def delete(self, position: str, done: bool) -> None:
        """Hide an event. `done`: the call returned."""
        event = self._take(position)
        (self.deleted if done else self.unsure)[position] = event

    def undelete(self, position: str, done: bool) -> None:
        """Show an event again."""
        event = self._take(position)
        (self.acked if done else self.unsure)[position] = event

    def _take(self, position: str) -> Event:
        return next(held.pop(position) for held in (self.acked, self.deleted, self.unsure) if position in held)

    def damage(self, archive: ArchiveId, first: int, count: int) -> None:
        """A batch was damaged: its events are lost."""
        self.lost[archive] += count
        for number in range(first, first + count):
            for held in (self.acked, self.deleted, self.unsure):
                held.pop(f"{archive}:{number}", None)
            self.removed.discard(f"{archive}:{number}")

    def check(self, shown: Shown) -> None:
        """Compare with the events that a reader shows."""
        found = dict(shown)
        assert len(found) == len(shown), "a position is shown twice"
        for position, event in self.acked.items():
            assert found.pop(position, None) == event, f"{position} is acknowledged and not shown"
        copies: Counter[str] = Counter()
        for position, event in found.items():
            assert position not in self.deleted, f"{position} is deleted and shown"
            if position in self.unsure:
                assert event == self.unsure[position], f"{position} is another event"
            else:
                copies[event.id] += 1
        assert copies <= self.spare, f"shown and never acknowledged: {copies - self.spare}"
