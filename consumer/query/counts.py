"""Counts of events by group: added event by event, and merged part by part. Pure.

Invariants: any division of the events into parts, merged in any order, gives the same counts and the same error. Memory is bounded by
GROUPS_MAX and NAMES_MAX.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from codec.event import Event
from consumer.errors import Exit, Fatal
from consumer.query.grouping import Group, Grouping, Value

GROUPS_MAX = 100_000
NAMES_MAX = 32 << 20  # characters of the values of all groups


class Row(NamedTuple):
    """A group and its counts. `bucket_us`: None without buckets. `bytes`: of the bodies."""

    bucket_us: int | None
    values: tuple[Value, ...]
    events: int
    bytes: int


@dataclass
class Counts:
    """The counts of some events. `events` and `bytes`: of all of them; an event with several tags counts once here."""

    events: int = 0
    bytes: int = 0
    groups: dict[Group, tuple[int, int]] = field(default_factory=dict)
    _names: int = 0

    def add(self, grouping: Grouping, event: Event) -> None:
        """Count an event. Raises Fatal if there are too many groups."""
        size = len(event.body)
        self.events += 1
        self.bytes += size
        for group in grouping.groups_of(event):
            self._add(group, 1, size)

    def add_types(self, types: Mapping[str, int], grouping: Grouping) -> None:
        """Count events by the totals of their types. The bytes of their bodies are not known. Raises Fatal."""
        for name, events in types.items():
            self.events += events
            self._add((None, (name,) if grouping.fields else ()), events, 0)

    def merge(self, other: "Counts") -> None:
        """Add the counts of other events. Raises Fatal if there are too many groups."""
        self.events += other.events
        self.bytes += other.bytes
        for group, (events, size) in other.groups.items():
            self._add(group, events, size)

    def _add(self, group: Group, events: int, size: int) -> None:
        known = self.groups.get(group)
        if known is None:
            self._check(group)
            known = (0, 0)
        self.groups[group] = known[0] + events, known[1] + size

    def _check(self, group: Group) -> None:
        """Raises Fatal if there is no room for a new group."""
        self._names += sum(len(value) for value in group[1] if value is not None)
        if len(self.groups) < GROUPS_MAX and self._names <= NAMES_MAX:
            return
        raise Fatal(
            Exit.SETTINGS,
            f"more than {GROUPS_MAX:,} groups, or more than {NAMES_MAX >> 20} MiB of their values",
            "group by fields with fewer values, use a longer --bucket, or select fewer events",
        )

    def rows(self) -> Iterator[Row]:
        """The groups: by bucket, and within a bucket the largest first."""
        found = (Row(bucket, values, *counts) for (bucket, values), counts in self.groups.items())
        yield from sorted(found, key=_order)


def _order(row: Row) -> tuple[int, int, tuple[tuple[bool, str], ...]]:
    return row.bucket_us or 0, -row.events, tuple((value is not None, value or "") for value in row.values)
