"""The archive directory as retention sees it: its sealed archives, each once, and what keeps one there whatever the limits are.

Invariants: several names of one file, and several files of one archive, count once in the totals. Files that are no sealed archives, such as
open archives and the `.damaged` originals of a repair, are neither counted nor removed.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from consumer.archive import naming
from consumer.archive.listing import find_archives
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.summary import State, summarize
from consumer.errors import DeedboxError
from consumer.ship.retention.floor import local_hold, waiting_followers
from consumer.ship.retention.policy import Candidate, Stay


@dataclass(frozen=True, slots=True)
class Held:
    """The files of one sealed archive: several only if it is there more than once, or under several names."""

    archive: ArchiveId
    paths: tuple[Path, ...]
    files: frozenset[tuple[int, int]]  # device and inode
    size: int

    @property
    def path(self) -> Path:
        """The first name."""
        return self.paths[0]


@dataclass
class Directory:
    """An archive directory. `archives`: the sealed ones by id. `others`: archives that are no candidates, with the reason."""

    root: Path
    archives: dict[ArchiveId, Held] = field(default_factory=dict)
    others: dict[Path, str] = field(default_factory=dict)

    @classmethod
    def look(cls, root: Path) -> "Directory":
        """Read the directory. Raises DeedboxError if a part of it cannot be read: an archive there may be the newest."""
        found = cls(root)
        sealed: dict[ArchiveId, list[tuple[Path, os.stat_result]]] = {}
        for path in find_archives([root]):
            archive = naming.parse_sealed(path)
            if archive is not None:
                try:
                    sealed.setdefault(archive, []).append((path, path.stat()))
                except OSError as error:
                    found.others[path] = f"cannot be read: {error.strerror}"
            elif naming.parse_open(path):
                found.others[path] = "is open or waits for recovery"
            else:
                raise DeedboxError(f"{path}: cannot be read", "make it readable, or remove a link that leads nowhere")
        for archive, files in sealed.items():
            inodes = {(stat.st_dev, stat.st_ino): stat.st_size for _, stat in files}
            paths = tuple(path for path, _ in files)
            found.archives[archive] = Held(archive, paths, frozenset(inodes), max(inodes.values()))
        return found

    def name(self, path: Path) -> str:
        """The path below the directory, with slashes: the name of the object at a destination."""
        return path.relative_to(self.root).as_posix()

    def candidates(self) -> list[Candidate]:
        """The sealed archives as candidates of the policy."""
        found = []
        for held in self.archives.values():
            last_us = naming.last_arrival_us(held.path)
            if last_us is None:
                self.others[held.path] = "its name holds no valid time"
            else:
                found.append(Candidate(held.archive, self.name(held.path), held.size, last_us))
        return found

    def newest(self, instance: str) -> int:
        """The highest sequence of a sealed archive of the instance."""
        return max((archive.sequence for archive in self.archives if archive.instance == instance), default=0)

    def why_stays(self, archive: ArchiveId) -> list[Stay]:
        """Why an archive must stay, as far as the directory shows. Raises DeedboxError if a checkpoint or a hold cannot be read."""
        held = self.archives[archive]
        if archive.sequence == self.newest(archive.instance):
            return [Stay("is the newest sealed archive of its instance", intended=True)]
        if len(held.files) > 1:
            return [Stay(f"exists twice: {held.paths[1]}")]
        if link := next((path for path in held.paths if path.is_symlink()), None):
            return [Stay(f"is a symbolic link: {link}")]
        holds = [hold for path in held.paths if (hold := local_hold(self.root, path))]
        if holds:
            return [Stay(f"{holds[0]} holds it", intended=True)]
        return [*map(Stay, waiting_followers(held.path, archive))] or _damage(held.path)


def _damage(path: Path) -> list[Stay]:
    """Why the archive may be damaged, by its footer: what is removed must be readable elsewhere."""
    try:
        found = summarize(path)
    except OSError as error:
        return [Stay(f"cannot be read: {error.strerror or error}")]
    return [] if found.state is State.SEALED else [Stay(f"is damaged: {found.fault}")]
