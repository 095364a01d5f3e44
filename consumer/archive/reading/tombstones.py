"""Deleted events: a tombstone hides an event at once, `undelete` shows it again, `compact` removes its content.

Role: an archive never changes, so its tombstones are in a separate file, `<instance>-<sequence>.deleted`, with one JSON line
per event. The file is in the directory of the archive or, after the archive was sealed, in a directory above it. Invariants: a tombstone is
durable before it is reported, and it stays, so that no reader and no copy of the archive shows the event. `undelete` removes no line, but
adds one that cancels it, so that the union of the lines of several copies has the deletions and their cancellations of all of them. A
tombstone applies only to archives with the head that it names. Every reader of events checks the tombstones. Positions do not change.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import msgspec

from codec.archive import BatchHeader
from codec.event import Event, format_time, parse_time
from codec.parts import checksum_of
from consumer.archive import naming
from consumer.archive.location import Location
from consumer.archive.reading.reader import ArchiveFile, ArchiveReader
from consumer.disk.durable import Disk, held
from consumer.errors import DeedboxError
from consumer.objects.stores import store_of
from consumer.objects.url import Listed, ObjectUrl

SUFFIX = ".deleted"
LEVELS_MAX = (
    naming.DIRECTORIES_MAX + 1
)  # the directory of a sealed archive, and those above it up to the archive directory
REMOVED_TYPE = "deedbox.removed"
REMOVED_TAGS = ("deedbox:removed",)


class Tombstone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One deleted event. `head`: the checksum of the head of its archive, in hexadecimal; `event`: its number there; `id`: as it was named.

    `undeleted`: cancels the deletion of the same event at the same time.
    """

    head: str
    event: int
    id: str
    deleted: str  # when: ISO 8601, UTC
    undeleted: bool = False


@dataclass(frozen=True)
class Tombstones:
    """The deleted events of one archive, by their numbers."""

    events: frozenset[int] = frozenset()
    known: list[Tombstone] = field(default_factory=list)

    @classmethod
    def of(cls, archive: ArchiveReader, path: Location | None = None) -> "Tombstones":
        """The tombstones of an archive. `path`: where the archive is now, if it was moved.

        Raises DeedboxError if a file cannot be read, because a deleted event must not be shown.
        """
        if archive.id is None:
            return cls()
        head = head_of(archive)
        must_exist = _is_listed(path or archive.path, f"{archive.id}{SUFFIX}")
        lines = [one for file in files_of(archive, path) for one in _read(file, must_exist)]
        known = [one for one in _in_force(lines) if head in (one.head, None)]
        return cls(frozenset(one.event for one in known), known)

    @classmethod
    def union(cls, copies: Iterable["Tombstones"]) -> "Tombstones":
        """The events that are deleted in at least one of several copies of an archive."""
        known = [one for copy in copies for one in copy.known]
        return cls(frozenset(one.event for one in known), known)

    def within(self, batch: BatchHeader) -> list[int]:
        """The numbers of the deleted events of a batch, in order."""
        numbers = range(batch.first_event, batch.first_event + batch.events)
        return sorted(number for number in self.events if number in numbers)

    def kept(self, batch: BatchHeader, events: Sequence[Event]) -> Iterator[tuple[int, Event]]:
        """Number and event of each event of a batch that is neither deleted nor removed."""
        for number, event in enumerate(events, batch.first_event):
            if number not in self.events and not is_removed(event):
                yield number, event


class LiveTombstones:
    """The tombstones of an archive that stays open for a long time. They are read again when one of the files has changed."""

    def __init__(self, archive: ArchiveFile) -> None:
        self._archive = archive
        self._stamps: list[object] | None = None
        self._found = Tombstones()

    def at(self, path: Path) -> Tombstones:
        """The present tombstones of the archive, which is at this path now. Raises DeedboxError, as `Tombstones.of` does."""
        stamps: list[object] = [head_of(self._archive), *map(_stamp, files_of(self._archive, path))]
        if stamps != self._stamps:
            self._found = Tombstones.of(self._archive, path)
            self._stamps = stamps
        return self._found


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Values that change when a file is replaced; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@overload
def files_of(archive: ArchiveFile, path: Path | None = None) -> list[Path]: ...


@overload
def files_of(archive: ArchiveReader, path: Location | None = None) -> list[Location]: ...


def files_of(archive: ArchiveReader, path: Location | None = None) -> Sequence[Location]:
    """The files that may hold tombstones of an archive. `path`: where the archive is now, if it was moved.

    Of an archive in object storage, only the object beside it can: all tombstones of a local archive are shipped as this object.
    """
    place = path or archive.path
    if archive.id is None:
        return []
    if isinstance(place, ObjectUrl):
        return _listed_beside(place, f"{archive.id}{SUFFIX}")
    directories = [*place.absolute().parents][:LEVELS_MAX]
    return [directory / f"{archive.id}{SUFFIX}" for directory in directories]


def _listed_beside(archive: ObjectUrl, name: str) -> list[ObjectUrl]:
    """The object of this name beside an archive, unless a listing showed that there is none."""
    beside = archive.listed.beside if isinstance(archive.listed, Listed) else None
    return [archive.with_name(name)] if beside is None or name in beside else []


def _is_listed(archive: Location, name: str) -> bool:
    """Whether a listing showed the object of this name beside an archive."""
    listed = archive.listed if isinstance(archive, ObjectUrl) else None
    return isinstance(listed, Listed) and listed.beside is not None and name in listed.beside


def is_removed(event: Event) -> bool:
    """Whether the event only keeps the place of an event that `compact` removed."""
    return event.type == REMOVED_TYPE and event.tags == REMOVED_TAGS


def removed(event: Event) -> Event:
    """The event that keeps the place of a removed event: only its time of arrival stays."""
    return Event("", REMOVED_TYPE, event.arrived_us, event.arrived_us, "", "", b"\0\0", b"", tags=REMOVED_TAGS)


def head_of(archive: ArchiveReader) -> str | None:
    """The checksum of the head, which distinguishes archives with the same name; None if the head is damaged."""
    return f"{checksum_of(archive.head_raw):016x}" if archive.head_raw else None


def _read(path: Location, must_exist: bool = False) -> list[Tombstone]:
    try:
        lines = (path.read_bytes() if isinstance(path, Path) else store_of(path).get(path)).splitlines()
    except (FileNotFoundError, NotADirectoryError) as error:
        if must_exist:
            what = f"{path}: the listing showed it, and it is gone"
            raise DeedboxError(what, "try again: without it, a deleted event would be shown") from error
        return []
    try:
        return [msgspec.json.decode(line, type=Tombstone) for line in lines]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DeedboxError(f"{path}: {error}", "repair it: without it, a deleted event would be shown") from error


def add_tombstones(disk: Disk, archive: ArchiveFile, events: Iterable[int], id: str, deleted: str) -> int:
    """Hide events of an archive durably. Returns how many were not hidden before. Raises DeedboxError and OSError."""
    head = _known_head(archive)
    path = files_of(archive)[0]
    shown = id.encode("utf-8", "backslashreplace").decode()
    with _locked(disk, path):
        known = _read(path)
        every = [one for file in files_of(archive) for one in _read(file)]  # readers see all of them together
        hidden = {one.event for one in _in_force(every) if one.head == head}
        when = _unused(every, deleted)
        fresh = [Tombstone(head=head, event=event, id=shown, deleted=when) for event in events if event not in hidden]
        if fresh:
            disk.replace(path, _encode([*known, *fresh]))
    return len(fresh)


def remove_tombstones(disk: Disk, archive: ArchiveFile, choose: Callable[[], Collection[int]]) -> int:
    """Show hidden events of an archive again, durably. Returns how many. Raises DeedboxError and OSError.

    `choose` returns the numbers of the events that are still there. It is called under the lock, so that no other process compacts the archive at the same time.
    """
    head = _known_head(archive)
    own, *above = files_of(archive)
    with _locked(disk, own):
        chosen = frozenset(choose())
        shown = _cancel(disk, own, head, chosen)
        for path in above:
            if path.exists():
                with _locked(disk, path):
                    shown |= _cancel(disk, path, head, chosen)
    return len(shown)


def _cancel(disk: Disk, path: Path, head: str, events: frozenset[int]) -> set[int]:
    known = _read(path)
    hidden = [one for one in _in_force(known) if one.head == head and one.event in events]
    if hidden:
        disk.replace(path, _encode([*known, *(msgspec.structs.replace(one, undeleted=True) for one in hidden)]))
    return {one.event for one in hidden}


def _in_force(lines: Sequence[Tombstone]) -> list[Tombstone]:
    """The deletions that no line cancels."""
    cancelled = {(one.head, one.event, one.deleted) for one in lines if one.undeleted}
    return [one for one in lines if (one.head, one.event, one.deleted) not in cancelled]


def _unused(known: Iterable[Tombstone], deleted: str) -> str:
    """The time of a deletion, moved by microseconds if it is that of a cancelled one: then it would be cancelled too."""
    cancelled = {one.deleted for one in known if one.undeleted}
    while deleted in cancelled:
        deleted = format_time(parse_time(deleted) + 1)
    return deleted


def _encode(tombstones: Iterable[Tombstone]) -> bytes:
    return b"".join(msgspec.json.encode(one) + b"\n" for one in tombstones)


def _known_head(archive: ArchiveFile) -> str:
    """The checksum of the head, which tombstones name. Raises DeedboxError if the head is damaged."""
    head = head_of(archive)
    if archive.id is None or head is None:
        raise DeedboxError(f"{archive.path}: its head is damaged", "repair it first")
    return head


@contextmanager
def _locked(disk: Disk, path: Path) -> Iterator[None]:
    """Hold the lock of a file of tombstones. Raises DeedboxError if another process has it."""
    with held(disk, path.with_name(path.name + ".lock")) as free:
        if not free:
            raise DeedboxError(f"{path}: another process deletes or compacts", "try again when it has ended")
        yield
