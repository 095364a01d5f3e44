"""Events that are deleted: hidden at once by a line beside the archives, taken out for good when the archive is compacted.

Role: an archive never changes, so what must go is named in a file of its own: `<instance>-<sequence>.deleted`, one JSON line an
event with batch and index. Invariants: a tombstone is durable before it is reported; every reader of events asks here; the
place of every other event stays what it was, before and after compacting.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from codec.event import Event
from consumer.archive.durable import Disk, held
from consumer.archive.naming import ArchiveId
from consumer.errors import DeedboxError

SUFFIX = ".deleted"
LEVELS_MAX = 6  # how far above a sealed archive its directory may be: the template of names may make so many levels
REMOVED_TYPE = "deedbox.removed"
REMOVED_TAGS = ("deedbox:removed",)


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """One deleted event."""

    batch: int
    index: int
    id: str
    deleted: str  # when: ISO 8601, UTC


@dataclass(frozen=True)
class Tombstones:
    """The deleted events of one archive, by batch number and index."""

    places: frozenset[tuple[int, int]] = frozenset()
    path: Path | None = None
    known: list[Tombstone] = field(default_factory=list)

    @classmethod
    def of(cls, archive: Path, id: ArchiveId | None) -> "Tombstones":
        """Those of an archive. Raises DeedboxError for a file that cannot be read: what is deleted must not be shown."""
        for directory in [*archive.absolute().parents][:LEVELS_MAX]:
            path = directory / f"{id}{SUFFIX}"
            if id is not None and path.exists():
                known = list(_read(path))
                return cls(frozenset((one.batch, one.index) for one in known), path, known)
        return cls()

    def kept(self, batch: int, events: Sequence[Event]) -> Iterator[tuple[int, Event]]:
        """Index and event of those that are there."""
        for index, event in enumerate(events):
            if (batch, index) not in self.places and not is_removed(event):
                yield index, event


def is_removed(event: Event) -> bool:
    """Whether the event only holds the place of one that was taken out."""
    return event.type == REMOVED_TYPE and event.tags == REMOVED_TAGS


def removed(event: Event) -> Event:
    """What stays of an event that is taken out: its place, and when it arrived."""
    return Event("", REMOVED_TYPE, event.arrived_us, event.arrived_us, "", "", b"\0\0", b"", tags=REMOVED_TAGS)


def _read(path: Path) -> Iterator[Tombstone]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            yield msgspec.json.decode(line, type=Tombstone)
        except msgspec.MsgspecError as error:
            raise DeedboxError(
                f"{path}: line {number}: {error}", "mend or remove the line; without it a deleted event would be shown"
            ) from error


def bury(disk: Disk, directory: Path, archive: ArchiveId, found: Sequence[Tombstone]) -> int:
    """Add tombstones that are not there yet, durably, and say how many those were. Raises OSError."""
    path = directory / f"{archive}{SUFFIX}"
    with held(disk, path.with_name(path.name + ".lock")) as free:
        if not free:
            raise DeedboxError(f"{path}: another process deletes or compacts", "try again when it has ended")
        known = list(_read(path)) if path.exists() else []
        places = {(one.batch, one.index) for one in known}
        fresh = [one for one in found if (one.batch, one.index) not in places]
        if fresh:
            disk.replace(path, b"".join(msgspec.json.encode(one) + b"\n" for one in [*known, *fresh]))
    return len(fresh)
