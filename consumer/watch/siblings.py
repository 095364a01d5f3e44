"""The files in the directory of a watched path: which of them holds the bytes that were read of it, and which the same rotation named.

If the path is a symbolic link, the directory of its target counts too. A file is accepted only with one of these proofs:
- Same file: the inode of a position, and exactly the bytes before the position. If fewer than SURE_BYTES were seen, the file must
  also have the watched name, or a name that only a rotation gives (`renames.is_rotated`), or if anything was seen, a name that a rotation
  may give (`renames.is_numbered`): inodes are reused, and many files begin with the same line. One error remains possible: a numbered file that got the inode of a
  removed file, and begins with the same bytes, of which fewer than SURE_BYTES were seen.
- Copy: another inode, a name that only a rotation gives, at least the size that the file had at the last check, and exactly the bytes
  before the position. A name that a rotation may give is enough if SURE_BYTES were seen.
- Rotation without a reported rename: a name that differs only in its numbers from the name of a verified file, and a last write that is not earlier.
  If the file that was read last does not exist any more: a name that only a rotation gives, and a last write that is not earlier.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from consumer.watch.line_position import FINGERPRINT_BYTES, LinePosition, matches, seen_bytes
from consumer.watch.paths import changed_ns, inode_of, names_of, open_file, report
from consumer.watch.renames import inserted_part, is_compressed, is_numbered, is_rotated, same_pattern

SURE_BYTES = FINGERPRINT_BYTES  # longer than the first lines that many files have in common
TRIES = 3  # to open a file while a rotation changes its name


class SiblingFiles:
    """The other files in the directory of `path`. `watched`: the paths that are followed by themselves. Methods raise OSError, unless their docstring names another error."""

    def __init__(self, path: Path, watched: Collection[Path]) -> None:
        self._path = path
        self._watched = {*watched, path}

    def files(self) -> dict[int, Path]:
        """The files by inode. A file with several names has the watched one."""
        found: dict[int, Path] = {}
        for directory in {name.parent: None for name in reversed(names_of(self._path))}:
            found = _entries(directory) | found
        if (inode := inode_of(self._path)) is not None:
            found[inode] = self._path
        return found

    def is_excluded(self, path: Path) -> bool:
        """Whether a file is never read as a rotated one: it is compressed, or is followed by itself."""
        return is_compressed(path.name) or path in self._watched

    def open_inode(self, inode: int) -> int | None:
        """Open a file by its inode, while a rotation may change its name. None if it does not exist or is excluded."""
        for _ in range(TRIES):
            path = self.files().get(inode)
            if path is None or self.is_excluded(path):
                return None
            if (fd := _open_if(path, lambda fd: os.fstat(fd).st_ino == inode)) is not None:
                return fd
        return None

    def open_same(self, path: Path, position: LinePosition) -> int | None:
        """Open the file if it is verified to be the one of the position; else None."""
        if path != self._path:
            is_named = _is_sure(position) or bool(self._named([path], is_rotated))
            is_named |= seen_bytes(position) > 0 and bool(self._named([path], is_numbered))
            if self.is_excluded(path) or not is_named:
                return None
        return _open_if(path, lambda fd: os.fstat(fd).st_ino == position.inode and matches(fd, position))

    def open_copy(self, position: LinePosition, held: Collection[int]) -> int | None:
        """Open the newest copy of the file; `copytruncate` of logrotate makes one, which also has the unread lines.

        `held`: inodes of files that are open already. It raises nothing: a file that cannot be read is logged and skipped.
        """
        for path in self._possible_copies(position, held):
            try:
                if (fd := _open_if(path, lambda fd: _is_copy(fd, position))) is not None:
                    return fd
            except OSError as error:
                report(path, error)
        return None

    def _possible_copies(self, position: LinePosition, held: Collection[int]) -> list[Path]:
        """The files that may be copies by their names, the newest first."""
        if not seen_bytes(position):
            return []
        try:
            others = [path for inode, path in self.files().items() if inode not in held and not self.is_excluded(path)]
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
        """The names that rotations extend: the watched name, that of its target, and that of the link if the target has it with a date."""
        names = names_of(self._path)
        linked = [name.with_name(self._path.name) for name in names if is_rotated(self._path.name, name.name)]
        return list(dict.fromkeys([*names, *linked]))

    def rotated_after(self, inode: int, since_ns: int) -> list[int] | None:
        """The inodes of the files that the same rotation named as this file, written at `since_ns` or later, the oldest first.

        None if the file has no name of its own any more, so that no other file is known by it.
        """
        files = self.files()
        path = files.get(inode)
        if path is None or path == self._path:
            return None
        bases = [base for base in self._bases() if base.parent == path.parent]
        names = [name for base in bases for name in same_pattern(base.name, path.name, _names(files, base))]
        return _written_since(since_ns, files, map(path.with_name, names))

    def write_times(self) -> dict[int, tuple[int, int]]:
        """The time of the last write (ns) and the size of each file that a rotation may have named, by inode."""
        bases = self._bases()
        found = {}
        for inode, path in self.files().items():
            if path != self._path and any(
                path.parent == base.parent and inserted_part(base.name, path.name) for base in bases
            ):
                with suppress(FileNotFoundError):
                    stat = path.stat()
                    found[inode] = stat.st_mtime_ns, stat.st_size
        return found

    def directories_changed_ns(self) -> int:
        """When a name in the directories changed last, in nanoseconds since 1970."""
        return max(changed_ns(name.parent) for name in names_of(self._path))

    def rotated_since(self, since_ns: int) -> list[int]:
        """The inodes of the files that only a rotation can have named, written at `since_ns` or later, the oldest first."""
        files = self.files()
        return _written_since(since_ns, files, self._named(files.values(), is_rotated))


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


def _is_sure(position: LinePosition) -> bool:
    """Whether enough of the file was seen that no other file begins with the same bytes by chance."""
    return seen_bytes(position) >= SURE_BYTES


def _is_copy(fd: int, position: LinePosition) -> bool:
    return os.fstat(fd).st_size >= position.size and matches(fd, position)


def _names(files: Mapping[int, Path], base: Path) -> list[str]:
    return [path.name for path in files.values() if path.parent == base.parent and path != base]


def _written_since(since_ns: int, files: Mapping[int, Path], wanted: Iterable[Path]) -> list[int]:
    inodes = {path: inode for inode, path in files.items()}
    times = {path: changed_ns(path) for path in wanted}
    return [inodes[path] for path in sorted(times, key=lambda path: times[path]) if times[path] >= since_ns]


def _open_if(path: Path, proves: Callable[[int], bool]) -> int | None:
    """Open a file if `proves` accepts its descriptor; else None."""
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
