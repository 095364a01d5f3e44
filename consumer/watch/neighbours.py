"""The files beside a watched one: which of them holds what was read of it, and which the same rotation named.

Of a symbolic link, these are the files beside the link and those beside its target. Nothing is remembered here.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from consumer.watch.lines import Position, holds
from consumer.watch.paths import changed_ns, inode_of, names_of, open_file, report
from consumer.watch.renames import inserted, is_compressed, rotations, successors

TRIES = 3  # to open a file whose name a rotation is changing


class Neighbours:
    """Of `path`. `watched`: the paths that are followed by themselves. Methods raise OSError, unless they say otherwise."""

    def __init__(self, path: Path, watched: Collection[Path]) -> None:
        self._path = path
        self._watched = {*watched, path}

    def files(self) -> dict[int, Path]:
        """By inode; of those with several names, the one that is followed."""
        found: dict[int, Path] = {}
        for directory in {name.parent: None for name in reversed(names_of(self._path))}:
            found = _entries(directory) | found
        if (inode := inode_of(self._path)) is not None:
            found[inode] = self._path
        return found

    def is_foreign(self, path: Path) -> bool:
        """Whether a file is never read as one that had the watched name."""
        return is_compressed(path.name) or path in self._watched

    def open_inode(self, inode: int) -> int | None:
        """Open a file by its inode, although a rotation may be changing its name."""
        for _ in range(TRIES):
            path = self.files().get(inode)
            if path is None or self.is_foreign(path):
                return None
            if (fd := _open_if(path, lambda fd: os.fstat(fd).st_ino == inode)) is not None:
                return fd
        return None

    def proven(self, path: Path, position: Position) -> int | None:
        """Open a file that holds what a position counts. One of which nothing was seen must have a name of the rotation."""
        seen = position.offset or position.head
        if path != self._path and (self.is_foreign(path) or not (seen or self._is_named_after(path))):
            return None
        return _open_if(path, lambda fd: holds(fd, position))

    def copy_of(self, position: Position, held: Collection[int]) -> int | None:
        """Open the newest copy of what was read: `copytruncate` makes one, with the lines that were not read yet.

        `held`: inodes of files that are open already. Raises nothing: what cannot be read is reported and is no copy.
        """
        for path in self._perhaps_copies(position, held):
            try:
                if (fd := self.proven(path, position)) is not None:
                    return fd
            except OSError as error:
                report(path, error)
        return None

    def _perhaps_copies(self, position: Position, held: Collection[int]) -> list[Path]:
        if not (position.offset or position.head):
            return []
        try:
            others = [path for inode, path in self.files().items() if inode not in held and path != self._path]
            return sorted(filter(self._is_named_after, others), key=changed_ns, reverse=True)
        except OSError as error:
            report(self._path, error)
            return []

    def _is_named_after(self, path: Path) -> bool:
        return any(path.parent == base.parent and inserted(base.name, path.name) for base in self._bases())

    def _bases(self) -> list[Path]:
        """What rotations name files after: the watched name, that of its target, and the link's name if the target has it with a date."""
        names = names_of(self._path)
        linked = [name.with_name(self._path.name) for name in names if rotations(self._path.name, [name.name])]
        return list(dict.fromkeys([*names, *linked]))

    def successors(self, inode: int, since: int) -> list[int] | None:
        """The inodes of files that the rotation has named after this one, and that were written `since` then, the oldest first.

        None if the file has no name of its own any more, so that no other is named after it.
        """
        files = self.files()
        path = files.get(inode)
        if path is None or path == self._path:
            return None
        bases = [base for base in self._bases() if base.parent == path.parent]
        names = [name for base in bases for name in successors(base.name, path.name, _names(files, base))]
        return _written(since, files, map(path.with_name, names))

    def rotated(self, since: int) -> list[int]:
        """The inodes of files that only a rotation can have named, and that were written `since` then, the oldest first."""
        files = self.files()
        paths = [base.with_name(name) for base in self._bases() for name in rotations(base.name, _names(files, base))]
        return _written(since, files, paths)


def _entries(directory: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    found.setdefault(entry.inode(), Path(entry.path))
    except FileNotFoundError:
        pass
    return found


def _names(files: Mapping[int, Path], base: Path) -> list[str]:
    return [path.name for path in files.values() if path.parent == base.parent and path != base]


def _written(since: int, files: Mapping[int, Path], wanted: Iterable[Path]) -> list[int]:
    inodes = {path: inode for inode, path in files.items()}
    times = {path: changed_ns(path) for path in wanted}
    return [inodes[path] for path in sorted(times, key=lambda path: times[path]) if times[path] >= since]


def _open_if(path: Path, proves: Callable[[int], bool]) -> int | None:
    """Open a file if its content, or what it is, proves that it is the one that is wanted."""
    fd = open_file(path)
    if fd is None:
        return None
    try:
        if proves(fd):
            return fd
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    return None
