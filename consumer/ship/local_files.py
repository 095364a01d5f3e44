"""What there is to ship in an archive directory: sealed archives, the side files of archives, and digests. No file is opened.

Invariants: open archives, lock files and the files of a rewriting that runs are never in the list. The name of an object below the
destination is the path of the local file below the archive directory, with slashes. Side files are the exception: readers of objects
look only beside the archive, so all side files of an archive become one object beside it: also those in the directories above it, and the
deletions in all directories in which readers look, even above the archive directory.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import NamedTuple

from consumer.archive import naming
from consumer.archive.checking.acknowledged import SUFFIX as ACKNOWLEDGED_SUFFIX
from consumer.archive.digests import files as digests
from consumer.archive.listing import find_archives
from consumer.archive.reading.tombstones import LEVELS_MAX
from consumer.archive.reading.tombstones import SUFFIX as DELETED_SUFFIX

SIDE_SUFFIXES = (DELETED_SUFFIX, ACKNOWLEDGED_SUFFIX)


class Kind(Enum):
    """The kinds of files, in the order in which they are shipped."""

    ARCHIVE = "archive"  # never changes, except that it is rewritten
    SIDE = "side file"  # deletions and acknowledgements: lines that the object must hold
    DIGEST = "digest"  # never changes


class Stamp(NamedTuple):
    """Values of a file that change when it is replaced or written."""

    inode: int
    modified_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class LocalFile:
    """Files that become one object. `name`: that of the object, below the destination. `paths`: several only for side files."""

    kind: Kind
    paths: tuple[Path, ...]
    name: str

    @property
    def path(self) -> Path:
        """The file; of several side files, the nearest one to the archive."""
        return self.paths[0]

    def stamps(self) -> tuple[Stamp, ...]:
        """The present stamp of each file. Raises OSError."""
        return tuple(Stamp(found.st_ino, found.st_mtime_ns, found.st_size) for found in map(Path.stat, self.paths))


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a directory. `files`: archives in order of instance and sequence, then side files, then digests in their order.

    `archives`: all archives, also the open ones. `unread`: directories that cannot be read.
    """

    files: list[LocalFile]
    archives: list[Path]
    unread: list[Path]


def find_files(directory: Path) -> Listing:
    """The files to ship below an archive directory."""
    found = find_archives([directory])
    unread = [path for path in found if naming.parse_sealed(path) is None and naming.parse_open(path) is None]
    archives = [path for path in found if path not in unread]
    sealed = [path for path in archives if naming.parse_sealed(path)]
    files = [
        *(LocalFile(Kind.ARCHIVE, (path,), _name(directory, path)) for path in sealed),
        *_side_files(directory, sealed),
        *_acknowledged_losses(directory, sealed),
        *(LocalFile(Kind.DIGEST, (path,), _name(directory, path)) for path in _digests(directory)),
    ]
    return Listing(files, archives, unread)


def is_shippable_name(name: str) -> bool:
    """Whether an object can have this name: it must be UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _name(directory: Path, path: Path) -> str:
    return path.relative_to(directory).as_posix()


def sides_of(directory: Path, path: Path) -> list[LocalFile]:
    """The present side files of one sealed archive. Raises OSError."""
    return list(_side_files(directory, [path]))


def _side_files(directory: Path, sealed: Iterable[Path]) -> Iterator[LocalFile]:
    """The side files beside each archive and in the directories above it.

    Acknowledgements up to the archive directory; deletions as far up as readers look, because a deleted event must not be shown.
    """

    @cache
    def names(place: Path) -> frozenset[str] | None:
        """The side files of a directory; None if it cannot be listed, which is no reason not to look for one by its name."""
        try:
            return frozenset(name for name in os.listdir(place) if name.endswith(SIDE_SUFFIXES))
        except PermissionError:
            return None

    @cache
    def places(inside: Path) -> list[tuple[Path, bool]]:
        """The directories that may have side files, the nearest first, and whether each is in the archive directory."""
        up_to = [inside, *inside.parents]
        own = up_to.index(directory) + 1
        above = [inside.absolute(), *inside.absolute().parents][own:LEVELS_MAX]
        found = [*((place, True) for place in up_to[:own]), *((place, False) for place in above)]
        return [(place, is_own) for place, is_own in found if names(place) != frozenset()]

    def has(place: Path, name: str) -> bool:
        known = names(place)
        return (place / name).exists() if known is None else name in known

    for path in sealed:
        for suffix in SIDE_SUFFIXES if places(path.parent) else ():
            name = f"{naming.parse_sealed(path)}{suffix}"
            found = [
                place / name
                for place, is_own in places(path.parent)
                if (is_own or suffix == DELETED_SUFFIX) and has(place, name)
            ]
            if found:
                yield LocalFile(Kind.SIDE, tuple(found), _name(directory, path.with_name(name)))


def _acknowledged_losses(directory: Path, sealed: Iterable[Path]) -> Iterator[LocalFile]:
    """The acknowledgements of archives that do not exist any more, and of digests: `verify` of the destination alone needs them too."""
    known = {str(naming.parse_sealed(path)) for path in sealed}
    for path in sorted(directory.glob(f"*{ACKNOWLEDGED_SUFFIX}")):
        if path.name.removesuffix(ACKNOWLEDGED_SUFFIX) not in known:
            yield LocalFile(Kind.SIDE, (path,), path.name)
    for path in sorted((directory / digests.FOLDER).glob(f"*{ACKNOWLEDGED_SUFFIX}")):
        yield LocalFile(Kind.SIDE, (path,), _name(directory, path))


def _digests(directory: Path) -> Iterator[Path]:
    """The digests, those of one instance in the order of their numbers."""
    for instance in digests.instances(directory):
        yield from (path for _, path in digests.numbered(directory, instance))
