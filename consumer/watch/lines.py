"""The lines that are added to a file, through rotation, truncation and renames; and where each of them stands.

Invariants: a line is given out whole, once, in order, and as bytes: half a character waits with half its line; a position is
told only of what was given out, so whoever stores positions after use loses nothing; what a file had before a position is
remembered, so that another content under the same name or inode is not taken for it.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from consumer import log

READ_BYTES = 1 << 20
LINE_BYTES_MAX = 16 << 20  # longer ones are given out in pieces: memory is bounded
LINGER_S = 10.0  # how long a file that lost its name is still read: its writer may not know yet
_MARK_BYTES = 64


class Position(NamedTuple):
    """Up to where a file has been read: which file, how far, and a checksum of the 64 bytes before that."""

    inode: int
    offset: int
    mark: int


class Line(NamedTuple):
    """A line without its line feed; `inode` and `offset` behind it."""

    path: Path
    text: bytes
    inode: int
    offset: int


@dataclass
class _Open:
    """A file that is being read. `offset`: behind the last whole line; `half`: what was read after it."""

    fd: int
    inode: int
    offset: int
    mark: int
    half: bytes = b""
    until: float | None = None  # when a file that lost its name is given up


class Follower:
    """One path. `read` gives what is new in the file of that name, and in those that had it a moment ago.

    `start`: up to where files have been read before, by inode; those that were renamed meanwhile are found beside the path.
    Without it the file is followed from its end, or `from_start`. Raises OSError.
    """

    def __init__(self, path: Path, start: Mapping[int, Position] | None = None, from_start: bool = False) -> None:
        self.path = path
        self._files: list[_Open] = []  # the oldest first; the last one has the name
        beside = self._beside() if start else {}
        for inode, position in (start or {}).items():
            if inode in beside:
                self._adopt(beside[inode], position)
            else:
                log.emit("file_gone", path=str(path), position=position.offset)
        self._files.sort(key=lambda file: file.until is None)
        if not self._named:
            self._adopt(path, None, at_end=start is None and not from_start)
        if start:
            self._adopt_unseen(set(start))

    @property
    def _named(self) -> _Open | None:
        return self._files[-1] if self._files and self._files[-1].until is None else None

    def positions(self) -> dict[int, Position]:
        """Up to where each file that is still read has been given out."""
        return {file.inode: Position(file.inode, file.offset, file.mark) for file in self._files}

    def _beside(self) -> dict[int, Path]:
        """The files of the directory by inode; of those with several names, the one that is followed."""
        found: dict[int, Path] = {}
        with os.scandir(self.path.parent) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    found.setdefault(entry.inode(), Path(entry.path))
        try:
            found[self.path.stat().st_ino] = self.path
        except OSError:
            pass  # renamed, and nobody has taken its name yet
        return found

    def _adopt(self, path: Path, position: Position | None, at_end: bool = False) -> None:
        """Open a file, if it is there and is one, at a position or at one of its ends."""
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return  # a directory, or a pipe, which would be waited for
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        found = os.fstat(fd)
        offset = position.offset if position else found.st_size if at_end else 0
        file = _Open(fd, found.st_ino, offset, position.mark if position else _mark(fd, offset))
        file.until = None if path == self.path else monotonic() + LINGER_S
        self._files.append(file)

    def _adopt_unseen(self, known: set[int]) -> None:
        """Read also what had the name between two looks: files beside the path, begun alike and changed after those known."""
        named = self._named
        held = {file.inode for file in self._files}
        since = max((os.fstat(file.fd).st_mtime_ns for file in self._files if file is not named), default=None)
        if since is None:
            return
        unseen = []
        for inode, path in self._beside().items():
            alike = path.name.startswith(self.path.name) or path.name.startswith(f"{self.path.stem}-")
            if (
                inode not in held | known
                and alike
                and path != self.path
                and (changed := path.stat().st_mtime_ns) > since
            ):
                unseen.append((changed, path))
        for _, path in sorted(unseen):
            self._adopt(path, None)
        self._files.sort(key=lambda file: file is named)

    def read(self) -> Iterator[Line]:
        """New whole lines. Raises OSError."""
        self._follow_name()
        for file in list(self._files):
            yield from self._read(file)
            if file.until is not None and monotonic() > file.until:
                yield from self._last(file)
                self._drop(file)

    def _follow_name(self) -> None:
        named = self._named
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            if named is not None and not os.fstat(named.fd).st_nlink:
                named.until = monotonic() + LINGER_S  # removed: nothing but its writer can hold it
            return  # renamed, and nobody has taken its name yet
        if named is not None and named.inode == inode:
            return
        known = {file.inode for file in self._files}
        if named is not None:
            named.until = monotonic() + LINGER_S
            log.emit("file_rotated", path=str(self.path))
        back = next((file for file in self._files if file.inode == inode), None)
        if back is not None:  # it was renamed, and has got its name back
            back.until = None
            self._files.sort(key=lambda file: file.until is None)
            return
        self._adopt(self.path, None)
        self._adopt_unseen(known)

    def _read(self, file: _Open) -> Iterator[Line]:
        size = os.fstat(file.fd).st_size
        if size < file.offset + len(file.half) or _mark(file.fd, file.offset) != file.mark:
            log.emit("file_truncated", path=str(self.path), size=size, position=file.offset)
            file.offset, file.half, file.mark = 0, b"", _mark(file.fd, 0)
        while chunk := os.pread(file.fd, READ_BYTES, file.offset + len(file.half)):
            *lines, rest = (file.half + chunk).split(b"\n")
            file.half = b""  # whoever stops in the middle goes on behind the line that was given out
            for line in lines:
                file.offset += len(line) + 1
                file.mark = _mark(file.fd, file.offset)
                yield Line(self.path, line, file.inode, file.offset)
            file.half = rest
            if len(file.half) > LINE_BYTES_MAX:
                yield from self._last(file)

    def _last(self, file: _Open) -> Iterator[Line]:
        """What stands behind the last line feed of a file that will not grow any more, or that is too much to hold."""
        if file.half:
            line, file.half = file.half, b""
            file.offset += len(line)
            file.mark = _mark(file.fd, file.offset)
            yield Line(self.path, line, file.inode, file.offset)

    def _drop(self, file: _Open) -> None:
        os.close(file.fd)
        self._files.remove(file)

    def close(self) -> None:
        """Read nothing any more."""
        while self._files:
            self._drop(self._files[0])


def _mark(fd: int, offset: int) -> int:
    size = min(offset, _MARK_BYTES)
    return xxh3_64_intdigest(os.pread(fd, size, offset - size))
