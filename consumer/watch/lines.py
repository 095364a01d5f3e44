"""The lines that are added to a file, through rotation, truncation and renames; and where each of them stands.

Invariants: a line is given out whole, once, in order, and as bytes: half a character waits with half its line; a position is
told only of what was given out, so whoever stores positions after use loses nothing.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from consumer import log

READ_BYTES = 1 << 20
LINE_BYTES_MAX = 16 << 20  # longer ones are given out in pieces: memory is bounded
LINGER_S = 10.0  # how long a file that lost its name is still read: its writer may not know yet


class Position(NamedTuple):
    """Up to where a file has been read: which file, and how far."""

    inode: int
    offset: int


class Line(NamedTuple):
    """A line without its line feed, and the position behind it."""

    path: Path
    text: bytes
    position: Position


@dataclass
class _Open:
    """A file that is being read. `offset`: behind the last whole line; `half`: what was read after it."""

    fd: int
    inode: int
    offset: int
    half: bytes = b""
    until: float | None = None  # when a file that lost its name is given up


class Follower:
    """One path. `read` gives what is new in the file of that name, and in those that had it a moment ago.

    `start`: up to where files have been read before, by inode; those that were renamed meanwhile are found beside the path.
    Without it the file is followed from its end, or `from_start`. Raises OSError.
    """

    def __init__(self, path: Path, start: Mapping[int, int] | None = None, from_start: bool = False) -> None:
        self.path = path
        self._files: list[_Open] = []  # the oldest first; the last one has the name
        for inode, offset in (start or {}).items():
            if (old := self._renamed(inode)) is not None:
                until = None if old == path else monotonic() + LINGER_S
                self._files.append(_Open(os.open(old, os.O_RDONLY | os.O_CLOEXEC), inode, offset, until=until))
        self._files.sort(key=lambda file: file.until is None)
        if not self._files or self._files[-1].until is not None:
            self._adopt(0 if from_start or start else None)

    @property
    def inodes(self) -> set[int]:
        """The files that are still read."""
        return {file.inode for file in self._files}

    def _renamed(self, inode: int) -> Path | None:
        """The file with this inode, under its name or beside it under one that begins alike."""
        try:
            beside = sorted(self.path.parent.glob(f"{self.path.name}*"))
            return next((path for path in [self.path, *beside] if path.exists() and path.stat().st_ino == inode), None)
        except OSError:
            return None

    def _adopt(self, offset: int | None) -> None:
        """Open the file that has the name now, if there is one; None: at its end."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # not there, or not yet ours to read
        found = os.fstat(fd)
        self._files.append(_Open(fd, found.st_ino, found.st_size if offset is None else offset))

    def read(self) -> Iterator[Line]:
        """New whole lines."""
        self._follow_name()
        for file in list(self._files):
            yield from self._read(file)
            if file.until is not None and monotonic() > file.until:
                yield from self._last(file)
                self._drop(file)

    def _follow_name(self) -> None:
        named = self._files[-1] if self._files and self._files[-1].until is None else None
        try:
            inode = self.path.stat().st_ino
        except OSError:
            return  # renamed, and nobody has taken its name yet
        if named is not None and named.inode == inode:
            return
        if named is not None:
            named.until = monotonic() + LINGER_S
            log.emit("file_rotated", path=str(self.path))
        self._adopt(0)

    def _read(self, file: _Open) -> Iterator[Line]:
        size = os.fstat(file.fd).st_size
        if size < file.offset:
            log.emit("file_truncated", path=str(self.path), size=size, position=file.offset)
            file.offset, file.half = 0, b""
        while chunk := os.pread(file.fd, READ_BYTES, file.offset + len(file.half)):
            *lines, file.half = (file.half + chunk).split(b"\n")
            for line in lines:
                file.offset += len(line) + 1
                yield Line(self.path, line, Position(file.inode, file.offset))
            if len(file.half) > LINE_BYTES_MAX:
                yield from self._last(file)

    def _last(self, file: _Open) -> Iterator[Line]:
        """What stands behind the last line feed of a file that will not grow any more, or that is too much to hold."""
        if file.half:
            file.offset += len(file.half)
            yield Line(self.path, file.half, Position(file.inode, file.offset))
            file.half = b""

    def _drop(self, file: _Open) -> None:
        os.close(file.fd)
        self._files.remove(file)

    def close(self) -> None:
        """Read nothing any more."""
        while self._files:
            self._drop(self._files[0])
