"""The files beside a watched one: which of them holds what was read of it, and which the same rotation named.

Of a symbolic link, these are the files beside the link and those beside its target. A proof is one of these, and nothing else:
- The inode of a position, and in its file exactly the bytes that the position counts. If fewer than SURE_BYTES were seen, the file
  must also have the watched name, or a name that a rotation gives (`renames.is_rotated`, or `renames.is_numbered` if anything was
  seen): an inode is used again, and many files begin with the same line. What is left: a numbered neighbour that got the inode of a
  removed file of which less was seen, and that begins with the same bytes, is taken for it.
- A copy: another inode, a name that only a rotation gives, no fewer bytes than the file had when it was last looked at, and in it
  exactly the bytes that the position counts. A name that somebody else may have given, too (`renames.is_numbered`), is enough if
  SURE_BYTES were seen.
- Where renames were not seen: a name that differs only in its numbers from that of a file that is proven, and no earlier last write;
  or, if the file that was read last is not there any more, a name that only a rotation gives, and no earlier last write than that one's.
The bytes that a position counts are the first `head` and the last ones before `offset`, by their checksum.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from consumer.watch.lines import MARK_BYTES, Position, holds
from consumer.watch.paths import changed_ns, inode_of, names_of, open_file, report
from consumer.watch.renames import inserted, is_compressed, is_numbered, is_rotated, successors

SURE_BYTES = MARK_BYTES  # more than the first lines that many files have in common
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
        """Open the file that a position is of, if it is proven to be that one."""
        if path != self._path:
            is_named = _is_sure(position) or bool(self._named([path], is_rotated))
            is_named |= seen(position) > 0 and bool(self._named([path], is_numbered))
            if self.is_foreign(path) or not is_named:
                return None
        return _open_if(path, lambda fd: os.fstat(fd).st_ino == position.inode and holds(fd, position))

    def copy_of(self, position: Position, held: Collection[int]) -> int | None:
        """Open the newest copy of what was read: `copytruncate` makes one, with the lines that were not read yet.

        `held`: inodes of files that are open already. Raises nothing: what cannot be read is reported and is no copy.
        """
        for path in self._perhaps_copies(position, held):
            try:
                if (fd := _open_if(path, lambda fd: _is_copy(fd, position))) is not None:
                    return fd
            except OSError as error:
                report(path, error)
        return None

    def _perhaps_copies(self, position: Position, held: Collection[int]) -> list[Path]:
        """The files whose names allow that they are copies, the newest first."""
        if not seen(position):
            return []
        try:
            others = [path for inode, path in self.files().items() if inode not in held and not self.is_foreign(path)]
            named = self._named(others, is_rotated) + (self._named(others, is_numbered) if _is_sure(position) else [])
            return sorted(named, key=changed_ns, reverse=True)
        except OSError as error:
            report(self._path, error)
            return []

    def _named(self, paths: Iterable[Path], check: Callable[[str, str], bool]) -> list[Path]:
        bases = self._bases()
        return [
            path for path in paths if any(path.parent == base.parent and check(base.name, path.name) for base in bases)
        ]

    def _bases(self) -> list[Path]:
        """What rotations name files after: the watched name, that of its target, and the link's name if the target has it with a date."""
        names = names_of(self._path)
        linked = [name.with_name(self._path.name) for name in names if is_rotated(self._path.name, name.name)]
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

    def stamps(self) -> dict[int, tuple[int, int]]:
        """Of the files that rotations may have named, by inode: the time of the last write, and the size."""
        bases = self._bases()
        found = {}
        for inode, path in self.files().items():
            if path != self._path and any(
                path.parent == base.parent and inserted(base.name, path.name) for base in bases
            ):
                with suppress(FileNotFoundError):
                    stat = path.stat()
                    found[inode] = stat.st_mtime_ns, stat.st_size
        return found

    def changed_ns(self) -> int:
        """When a name in the directories changed last: nanoseconds since 1970."""
        return max(changed_ns(name.parent) for name in names_of(self._path))

    def rotated(self, since: int) -> list[int]:
        """The inodes of files that only a rotation can have named, and that were written `since` then, the oldest first."""
        files = self.files()
        return _written(since, files, self._named(files.values(), is_rotated))


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


def seen(position: Position) -> int:
    """How many bytes of a file a position proves."""
    return max(position.offset, position.head)


def _is_sure(position: Position) -> bool:
    """Whether so much was seen of a file that no other has the same by chance."""
    return seen(position) >= SURE_BYTES


def _is_copy(fd: int, position: Position) -> bool:
    return os.fstat(fd).st_size >= position.size and holds(fd, position)


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
