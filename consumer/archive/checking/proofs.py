"""Which archives were read as a whole, and when: the memory of `verify --deep --budget`.

Role: it decides the order, so that the archive that was proved longest ago is read first. Invariants: it never replaces a check: what is
not read in a run is not called read. An archive that changed since counts as never proved. An archive that was found damaged is read in
every run, besides the budget. A file that is damaged or lost costs repetition only.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from consumer.archive.checking.verdict import ArchiveState, Verdict
from consumer.archive.listing import is_folder
from consumer.archive.location import Location
from consumer.disk.durable import Disk, read_regular
from consumer.objects.url import Listed, ObjectUrl

NAME = "verify.proofs"  # in an archive directory
SAVE_BYTES = 4 << 30  # read between two writes of the memory
_Stamp = tuple[int, str]  # size, and what changes if the content is replaced


class _Entry(msgspec.Struct, frozen=True):
    """One archive. `stamp`: its size, and its time of change and inode, or its ETag. `time_us`: when it was read. `good`: without a fault."""

    path: str
    stamp: _Stamp
    time_us: int
    good: bool
    sha256: str | None = None


class _Memory(msgspec.Struct):
    version: int
    archives: list[_Entry] = []


@dataclass
class Proofs:
    """The memory of one run. `folder`: where that of URLs and of named files is kept; that of a directory is in the directory.

    `budget`: how many bytes to read in this run. `chosen`: the archives that are read. `oldest_us`: when the archive that was proved longest
    ago was read; None if one was never read. `never`: how many were never read, or changed since.
    """

    disk: Disk
    roots: Sequence[Location]
    folder: Path
    budget: int
    now_us: int
    chosen: set[Location] = field(default_factory=set)
    _entries: dict[Path, dict[str, _Entry]] = field(default_factory=dict)
    _places: dict[Location, tuple[Path, str, _Stamp]] = field(default_factory=dict)
    _unsaved: int = 0

    def select(self, found: Sequence[Location]) -> Collection[Location]:
        """The archives to read: the ones that were proved longest ago, up to the budget and at least one; and all that were found damaged."""
        for file in {self._file_of(location)[0] for location in found}:
            self._entries[file] = _read(file)
        for location in found:
            file, name = self._file_of(location)
            if (stamp := _stamp(location)) is not None:
                self._places[location] = (file, name, stamp)
        left = self.budget
        for location in sorted(self._places, key=lambda one: (self._time_us(one), str(one))):
            if self._is_bad(location):
                self.chosen.add(location)
                continue
            size = self._places[location][2][0]
            if left == self.budget or size <= left:
                self.chosen.add(location)
                left -= size
            else:
                left = -1  # the next archive is not read before this one
        return self.chosen

    def note(self, verdict: Verdict) -> None:
        """Note that an archive was read. Its faults that are acknowledged count as none. Raises OSError."""
        if not verdict.deep or verdict.path not in self._places or verdict.state is ArchiveState.OPEN:
            return
        file, name, stamp = self._places[verdict.path]
        self._entries[file][name] = _Entry(name, stamp, self.now_us, not verdict.faults, verdict.sha256)
        self._unsaved += verdict.size
        if self._unsaved >= SAVE_BYTES:
            self.save()

    def save(self) -> None:
        """Write the memory durably. Archives that do not exist any more are forgotten. Raises OSError."""
        known: dict[Path, set[str]] = {file: set() for file in self._entries}
        for file, name, _ in self._places.values():
            known[file].add(name)
        for file, entries in self._entries.items():
            kept = [entry for name, entry in sorted(entries.items()) if name in known[file]]
            self.disk.make_directory(file.parent.absolute())
            self.disk.replace(file, msgspec.json.encode(_Memory(1, kept)) + b"\n")
        self._unsaved = 0

    @property
    def never(self) -> int:
        """How many archives were never read as a whole, or changed since."""
        return sum(self._time_us(one) == 0 for one in self._places)

    @property
    def oldest_us(self) -> int:
        """When the archive that was proved longest ago was read, of those that were ever read; 0 if there is none."""
        return min((time_us for one in self._places if (time_us := self._time_us(one))), default=0)

    def _entry(self, location: Location) -> _Entry | None:
        file, name, stamp = self._places[location]
        found = self._entries[file].get(name)
        return found if found is not None and found.stamp == stamp else None

    def _time_us(self, location: Location) -> int:
        found = self._entry(location)
        return found.time_us if found else 0

    def _is_bad(self, location: Location) -> bool:
        found = self._entry(location)
        return found is not None and not found.good

    def _file_of(self, location: Location) -> tuple[Path, str]:
        """The file of the memory of an archive, and the name of the archive in it."""
        for root in self.roots:
            if isinstance(root, Path) and isinstance(location, Path) and root.is_dir() and root in location.parents:
                return root / NAME, _text(location.relative_to(root).as_posix())
            if isinstance(root, ObjectUrl) and is_folder(root) and root in getattr(location, "parents", ()):
                return self._in_folder(str(root)), str(location)
        return self._in_folder("files"), _text(str(location))

    def _in_folder(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.proofs"


def _text(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()


def _stamp(location: Location) -> _Stamp | None:
    """None for an archive that cannot be found, or whose version is not known."""
    if isinstance(location, ObjectUrl):
        listed = location.listed
        return (listed.size, listed.etag) if isinstance(listed, Listed) and listed.etag else None
    try:
        found = location.stat()
    except OSError:
        return None
    return found.st_size, f"{found.st_mtime_ns}-{found.st_ino}"


def _read(file: Path) -> dict[str, _Entry]:
    try:
        memory = msgspec.json.decode(read_regular(file), type=_Memory)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}  # everything is read again, in time
    return {entry.path: entry for entry in memory.archives} if memory.version == 1 else {}
