"""The directories below some paths, and which of them have changed since they were looked at.

Role: a follower asks again and again for archives that are new; almost every directory of an archive is finished and never changes. Invariants:
a directory is read when it is new or its time of change is another one, and until that time has stood still for `SETTLE_S`,
because two changes may have one time; a directory is read under one path, also if several paths or links lead to it; memory holds directories and names of instances, and no archives.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from consumer.archive import naming

SETTLE_S = 2.0  # file systems keep times of change in steps of up to this
_UNREAD = -1  # no time of change: the directory is read again
_OWNED = (".ledger", ".lock", naming.OPEN_SUFFIX)  # what only the directory that an instance writes to holds


@dataclass
class Directory:
    """A directory when it was last read. `owners`: instances that write here; `instances`: those of its archives."""

    file: tuple[int, int]  # device and inode
    changed_ns: int
    changed_at: float  # when this time of change was first seen, on the monotonic clock
    read_at: float = -1.0
    inside: tuple[Path, ...] = ()
    owners: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()
    written: bool = False  # holds open archives

    @property
    def settled(self) -> bool:
        """Whether every change with this time of change was seen."""
        return self.read_at - self.changed_at >= SETTLE_S


class Tree:
    """`look` again and again. `faults` are directories that cannot be read, each named once until it changes."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.faults: list[str] = []
        self.roots = [root for root in roots if not any(other in root.parents for other in roots)]
        self._directories: dict[Path, Directory] = {}
        self._paths: dict[tuple[int, int], Path] = {}  # of several paths of a directory, the one under which it is read

    def look(self, everywhere: bool) -> list[Path]:
        """Archives in directories that changed: in the roots and where archives are written, or in all directories."""
        found: list[Path] = []
        for root in dict.fromkeys(self.roots):
            try:
                is_directory = root.is_dir()
            except OSError:
                is_directory = True  # reading it says what is wrong
            if is_directory:
                self._visit(root, everywhere, found)
            else:
                self.forget(root)
                found += [root] if root.exists() else []
        return found

    def _visit(self, top: Path, everywhere: bool, found: list[Path]) -> None:
        """Parents come first: an archive that is sealed meanwhile goes from a parent to a directory inside of it."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            known = self._directories.get(path)
            if path == top or everywhere or known is None or known.written:
                found += self._refresh(path, known)
            if (now := self._directories.get(path)) is not None:
                waiting += reversed(now.inside)

    def _refresh(self, path: Path, known: Directory | None) -> list[Path]:
        """Read a directory if it may have changed; its archives, or none."""
        try:
            stat = path.stat()
            file = (stat.st_dev, stat.st_ino)
            if known is not None and known.file != file:
                self.forget(path)  # another directory has its name
                known = None
            if self._paths.setdefault(file, path) != path:
                return []
            if known is None or known.changed_ns != stat.st_mtime_ns:
                return self._read(path, known, Directory(file, stat.st_mtime_ns, monotonic()))
            return [] if known.settled else self._read(path, known, Directory(file, known.changed_ns, known.changed_at))
        except (FileNotFoundError, NotADirectoryError):
            self.forget(path)
        except OSError as error:
            self._note_unread(path, known or Directory((0, 0), 0, monotonic()), error)
        return []

    def _note_unread(self, path: Path, known: Directory, error: OSError) -> None:
        """Name a directory that cannot be read. What is known of it stays, because it may only be away for a moment."""
        if known.changed_ns != _UNREAD:
            self.faults.append(f"{path}: {error.strerror or error}")
        known.changed_ns = _UNREAD
        self._directories[path] = known

    def _read(self, path: Path, known: Directory | None, fresh: Directory) -> list[Path]:
        fresh.read_at = monotonic()
        inside: list[Path] = []
        archives: list[Path] = []
        owners: set[str] = set()
        instances: set[str] = set()
        with os.scandir(path) as entries:
            for entry in entries:
                archive = naming.parse_sealed(path / entry.name) or naming.parse_open(path / entry.name)
                if archive is not None:
                    archives.append(path / entry.name)
                    instances.add(archive.instance)
                elif entry.is_dir() and not (entry.is_symlink() and self._leads_up(path / entry.name)):
                    inside.append(path / entry.name)
                owners.update(_owner(entry.name, archive))
        fresh.inside, fresh.owners, fresh.instances = tuple(sorted(inside)), frozenset(owners), frozenset(instances)
        fresh.written = any(archive.name.endswith(naming.OPEN_SUFFIX) for archive in archives)
        for gone in set(known.inside if known else ()) - set(inside):
            self.forget(gone)
        self._directories[path] = fresh
        return sorted(archives)

    def _leads_up(self, link: Path) -> bool:
        """Whether a link leads to a directory above one that was named, and so to archives that no path names."""
        real = link.resolve()
        return any(root.resolve().is_relative_to(real) for root in self.roots)

    def forget(self, path: Path) -> None:
        """Look at a directory and all below it as if for the first time."""
        known = self._directories.pop(path, None)
        if known is not None and self._paths.get(known.file) == path:
            del self._paths[known.file]
        for inner in known.inside if known else ():
            self.forget(inner)

    def home(self, path: Path, instance: str) -> tuple[Path, tuple[int, int]]:
        """The directory that the instance of an archive writes to, with its device and inode; without a trace of it, that of the archive."""
        for place in path.parents:
            known = self._directories.get(place)
            if known is None:
                break
            if instance in known.owners:
                return place, known.file
        return path.parent, self.file(path.parent) or (0, 0)

    def file(self, path: Path) -> tuple[int, int] | None:
        """Device and inode of a directory; None for one that is not there."""
        known = self._directories.get(path)
        return known.file if known else None

    def holds(self, path: Path, instance: str) -> bool:
        """Whether an archive of the instance is in a directory or below it."""
        known = self._directories.get(path)
        return known is not None and (
            instance in known.instances or any(self.holds(inner, instance) for inner in known.inside)
        )

    def written(self) -> Iterator[Path]:
        """Directories in which archives are written."""
        return (path for path, known in self._directories.items() if known.written)


def _owner(name: str, archive: naming.ArchiveId | None) -> Iterator[str]:
    """The instance that a file says writes to its directory."""
    for suffix in _OWNED:
        if name.endswith(suffix):
            yield archive.instance if archive else name.removesuffix(suffix)
