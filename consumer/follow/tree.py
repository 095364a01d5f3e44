"""The directories below some paths, and which of them have changed since the last look.

Role: a follower asks again and again for new archives, and almost no directory changes. Invariants: a directory is read if it is new, if
its modification time has changed, or if that time is younger than `SETTLE_S`, because two changes may have the same time. A directory is read
under one path, also if several paths or links lead to it. Memory holds directories and names of instances, but no archives.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from time import monotonic

from codec.event import EPOCH
from consumer.archive import naming
from consumer.archive.reading.fault import ReadFault

SETTLE_S = 2.0  # file systems store modification times in steps of up to this
_DATE_FORMS = ("%Y", "%m", "%d", "%H", "%b", "%B", "%j", "%Y%m", "%Y%m%d", "%Y%m%d%H")
_HOUR_US = 3_600_000_000
_UNREAD = -1  # no modification time: the directory is read again
_OWNED = (".ledger", ".lock", naming.OPEN_SUFFIX)  # files that are only in the directory to which an instance writes


@dataclass
class Directory:
    """A directory as it was read last. `owners`: instances that write here. `instances`: instances that have archives here."""

    file: tuple[int, int]  # device and inode
    changed_ns: int
    changed_at: float  # when this modification time was first seen, on the monotonic clock
    read_at: float = -1.0
    inside: tuple[Path, ...] = ()
    owners: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()
    written: bool = False  # holds open archives

    @property
    def settled(self) -> bool:
        """Whether all changes with this modification time were seen."""
        return self.read_at - self.changed_at >= SETTLE_S


class Tree:
    """`look` again and again. `faults`: directories that cannot be read, each reported once until it changes."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.faults: list[ReadFault] = []
        self.roots = [root for root in roots if not any(other in root.parents for other in roots)]
        self._directories: dict[Path, Directory] = {}
        self._paths: dict[tuple[int, int], Path] = {}  # if a directory has several paths, it is read under this one

    def look(self, everywhere: bool) -> list[Path]:
        """The archives in directories that changed. Looks at the roots and at directories with open archives; at all of them if `everywhere`."""
        found: list[Path] = []
        for root in dict.fromkeys(self.roots):
            try:
                is_directory = root.is_dir()
            except OSError:
                is_directory = True  # reading it raises the error
            if is_directory:
                self._visit(root, everywhere, found)
            else:
                self.forget(root)
                found += [root] if root.exists() else []
        return found

    def _visit(self, top: Path, everywhere: bool, found: list[Path]) -> None:
        """Parents come first: sealing moves an archive from a parent to a directory inside it."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            known = self._directories.get(path)
            if path == top or everywhere or known is None or known.written:
                found += self._refresh(path, known)
            if (now := self._directories.get(path)) is not None:
                waiting += reversed(now.inside)

    def _refresh(self, path: Path, known: Directory | None) -> list[Path]:
        """Read a directory if it may have changed. Return its archives."""
        try:
            stat = path.stat()
            file = (stat.st_dev, stat.st_ino)
            if known is not None and known.file != file:
                self.forget(path)  # another directory has this name now
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
        """Report a directory that cannot be read. What is known about it stays: it may be away for a moment only."""
        if known.changed_ns != _UNREAD:
            self.faults.append(ReadFault.of(path, error))
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
        """Whether a link leads to a directory above a root, and so to archives outside the roots."""
        real = link.resolve()
        return any(root.resolve().is_relative_to(real) for root in self.roots)

    def forget(self, path: Path) -> None:
        """Forget a directory and all below it: the next look reads them as new."""
        known = self._directories.pop(path, None)
        if known is not None and self._paths.get(known.file) == path:
            del self._paths[known.file]
        for inner in known.inside if known else ():
            self.forget(inner)

    def home(self, path: Path, instance: str) -> tuple[Path, tuple[int, int]]:
        """The directory to which the instance of an archive writes, with its device and inode.

        If no file shows it, as in a copy, it is the directory above those of the days.
        """
        for place in path.parents:
            known = self._directories.get(place)
            if known is None:
                break
            if instance in known.owners:
                return place, known.file
        place = self._above_dates(path)
        return place, self.file(place) or (0, 0)

    def _above_dates(self, path: Path) -> Path:
        """The directory above those that the template of sealed names makes from the first arrival, such as `2026/11-28` or `20261128`."""
        first_us = naming.first_arrival_us(path)
        if first_us is None:
            return path.parent
        year, parts = _date_parts(first_us // _HOUR_US)
        for place in path.parents:
            if place.parent not in self._directories or not set(re.split("[-_.T]", place.name)) <= parts:
                break
            if year in place.name:
                return place.parent
        return path.parent

    def file(self, path: Path) -> tuple[int, int] | None:
        """Device and inode of a directory; None if it is not there."""
        known = self._directories.get(path)
        return known.file if known else None

    def holds(self, path: Path, instance: str) -> bool:
        """Whether an archive of the instance is in a directory or below it."""
        known = self._directories.get(path)
        return known is not None and (
            instance in known.instances or any(self.holds(inner, instance) for inner in known.inside)
        )

    def written(self) -> Iterator[Path]:
        """Directories with open archives."""
        return (path for path, known in self._directories.items() if known.written)


def _owner(name: str, archive: naming.ArchiveId | None) -> Iterator[str]:
    """The instance that writes to the directory of this file, if the file shows one."""
    for suffix in _OWNED:
        if name.endswith(suffix):
            yield archive.instance if archive else name.removesuffix(suffix)


@lru_cache(maxsize=256)
def _date_parts(hours: int) -> tuple[str, frozenset[str]]:
    """The year, and the names that a template makes from an hour. `hours`: since 1970."""
    first = EPOCH + timedelta(hours=hours)
    return f"{first:%Y}", frozenset(first.strftime(form) for form in _DATE_FORMS)
