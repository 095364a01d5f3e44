"""The files of one watched path: the one that has the name, and those that had it and are not read to their end.

Invariants: a file is read only if its history explains it: it has the watched name; or it had it, as renames that were seen
or its inode with the checksum of what was read of it prove; or it is a copy that begins with exactly what was read; or, where
renames were not seen (while nobody looked, by polling, after a loss), the same rotation named it after a file that is proven,
or a rotation named it and it was written after the file that was read last, which is not there any more.
A compressed file is never read, nor one that is watched itself. `positions` never passes what was confirmed.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic

from consumer import log
from consumer.watch.lines import Line, OpenFile, Position, holds
from consumer.watch.paths import changed_ns, inode_of, kind_of, open_file, size_of
from consumer.watch.renames import Change, History, inserted, is_compressed, rotations, successors

LINGER_S = 10.0  # how long a file that lost its name is read after it last grew: its writer may not know yet
TRIES = 3  # to open a file whose name a rotation is changing
BATCH_LINES = 500
BATCH_BYTES = 8 << 20


class Follower:
    """One path. `look` finds its files, `read` gives what is new in them, `confirm` says that this was taken.

    `start`: up to where its files have been read before, the oldest first. Without it the file is followed from its end, or
    `from_start`. `watched`: the paths that are followed by themselves.
    """

    def __init__(
        self,
        path: Path,
        start: Sequence[Position] | None = None,
        from_start: bool = False,
        watched: Collection[Path] = (),
    ) -> None:
        self.path = path
        self._watched = {*watched, path}
        self._files: list[OpenFile] = []  # the oldest first; the last one has the name
        self._history = History(path)
        self._blind = False  # renames may not have been seen
        self._unseen = bool(start)  # so that files may have come and gone
        self._gone: Position | None = None  # of the newest file that was read before, if it is not there any more
        for position in start or ():
            self._resume(position)
        self._at_end = start is None and not from_start
        self._look_first(bool(start))
        self._at_end = False

    @property
    def _named(self) -> OpenFile | None:
        return self._files[-1] if self._files and self._files[-1].until is None else None

    def positions(self) -> list[Position]:
        """Up to where each file has been confirmed, the oldest first."""
        return [file.confirmed for file in self._files]

    def confirm(self) -> None:
        """All that was given out is where it belongs."""
        for file in self._files:
            file.confirm()
        self._drop([file for file in self._files if file.done])

    def close(self) -> None:
        """Read nothing any more."""
        self._drop(self._files)

    # Which files

    def look(self, changes: Sequence[Change] | None = None) -> None:
        """Find out which files have to be read. `changes`: all renames since the last look; None if some may not have been seen.

        Raises OSError; the next look makes up for it.
        """
        self._blind |= changes is None
        self._history.note(changes or ())
        for file in [file for file in self._files if file.changed()]:
            self._restart(file)
        self._unseen |= self._blind and self._rotated()
        self._look_on()
        self._blind = False

    def _look_first(self, resumed: bool) -> None:
        """A name that cannot be looked at stops no other file; if positions of it are stored, they must not be given up."""
        try:
            self._look_on()
        except OSError as error:
            if resumed:
                raise
            log.emit("watch_failed", reason=f"{self.path}: {error.strerror or error}")

    def _rotated(self) -> bool:
        named = self._named
        return named is not None and named.inode != inode_of(self.path)

    def _look_on(self) -> None:
        """The file that had the name, those that had it in between, and the one that has it now: in this order."""
        self._release_name()
        for name in self._history.former:
            if not self._foreign(name) and (fd := open_file(name)) is not None:
                self._adopt_rotated(fd)
            self._history.opened(name)
        if self._unseen:
            for inode in self._successors():
                if (fd := self._open_inode(inode)) is not None:
                    self._adopt_rotated(fd)
            self._unseen, self._gone = False, None
        self._take_name()

    def _release_name(self) -> None:
        """Let the file linger that has lost its name, to another one or because it was removed."""
        named, inode = self._named, inode_of(self.path)
        if named is None or named.inode == inode:
            return
        if inode is not None:
            log.emit("file_rotated", path=str(self.path))
        if inode is not None or not os.fstat(named.fd).st_nlink:
            named.until = monotonic() + LINGER_S

    def _take_name(self) -> None:
        """Read the file that has the name now, from its beginning; go on in it if it had the name before."""
        inode = inode_of(self.path)
        if inode is None or self._named is not None:
            return  # renamed, and nothing has taken its name yet
        back = next((file for file in self._files if file.inode == inode and file.fd >= 0 and not file.done), None)
        if back is not None:
            back.until = None
            self._files.sort(key=lambda file: file.until is None)
        elif (fd := open_file(self.path)) is not None:
            self._files.append(OpenFile(fd, at_end=self._at_end))
        elif (kind := kind_of(self.path)) is not None:
            log.emit("watch_failed", reason=f"{self.path} is {kind}; a regular file is expected")

    def _adopt_rotated(self, fd: int) -> None:
        if os.fstat(fd).st_ino in {file.inode for file in self._files}:
            os.close(fd)
        else:
            self._linger(OpenFile(fd))

    def _open_inode(self, inode: int) -> int | None:
        """Open a file of the directory by its inode, although a rotation may be changing its name."""
        for _ in range(TRIES):
            path = self._beside().get(inode)
            if path is None or self._foreign(path):
                return None
            if (fd := open_file(path)) is not None:
                if os.fstat(fd).st_ino == inode:
                    return fd
                os.close(fd)
        return None

    def _linger(self, file: OpenFile, seconds: float | None = None) -> None:
        file.until = monotonic() + (LINGER_S if seconds is None else seconds)
        self._files.insert(len(self._files) - (self._named is not None), file)

    def _foreign(self, path: Path) -> bool:
        return is_compressed(path.name) or path in self._watched

    # What was read before

    def _resume(self, position: Position) -> None:
        """Go on in the file that a position is of, under the name that it has now, or in a copy of it."""
        for _ in range(TRIES):  # a rotation may be changing names
            path = self._beside().get(position.inode)
            fd = None if path is None else self._proven(path, position)
            named = fd is not None and os.fstat(fd).st_ino == inode_of(self.path)
            if fd is None:
                fd = self._copy_of(position)
            if fd is not None:
                file = OpenFile(fd, position)
                self._files.append(file) if named else self._linger(file)
                self._gone = None
                return
        self._gone = position
        if path == self.path:
            log.emit("file_truncated", path=str(path), size=size_of(path), position=position.offset)
        else:
            unread = max(position.size - position.offset, 0)
            log.emit("file_gone", path=str(self.path), position=position.offset, unread=unread)

    def _restart(self, file: OpenFile) -> None:
        """What was read of a file is not in it any more: read it from its beginning, and what is left of before from a copy."""
        log.emit("file_truncated", path=str(self.path), size=os.fstat(file.fd).st_size, position=file.offset)
        fresh = OpenFile(os.dup(file.fd))
        fresh.until = file.until
        copy = self._copy_of(file.position)
        self._unseen |= copy is not None
        file.move_to(-1 if copy is None else copy)
        file.until = 0.0 if copy is None else monotonic() + LINGER_S  # a copy is also what proves the next ones
        self._files.insert(self._files.index(file) + 1, fresh)

    def _beside(self) -> dict[int, Path]:
        """The files of the directory by inode; of those with several names, the one that is followed."""
        found: dict[int, Path] = {}
        try:
            with os.scandir(self.path.parent) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        found.setdefault(entry.inode(), Path(entry.path))
        except FileNotFoundError:
            return found
        if (inode := inode_of(self.path)) is not None:
            found[inode] = self.path
        return found

    def _proven(self, path: Path, position: Position) -> int | None:
        """Open a file that holds what a position counts. One of which nothing was seen must have a name of the rotation."""
        seen = position.offset or position.head
        if path != self.path and (self._foreign(path) or not (seen or inserted(self.path.name, path.name))):
            return None
        fd = open_file(path)
        if fd is None:
            return None
        if holds(fd, position):
            return fd
        os.close(fd)
        return None

    def _copy_of(self, position: Position) -> int | None:
        """Open the newest copy of what was read: `copytruncate` makes one, with the lines that were not read yet."""
        held = {file.inode for file in self._files}
        copies = [
            path for inode, path in self._beside().items()
            if (position.offset or position.head) and path != self.path and inode not in held and inserted(self.path.name, path.name)
        ]  # fmt: skip
        for path in sorted(copies, key=changed_ns, reverse=True):
            if (fd := self._proven(path, position)) is not None:
                return fd
        return None

    def _successors(self) -> list[int]:
        """The inodes of files that the rotation has named after the newest one that is proven, the oldest first."""
        beside = self._beside()
        inodes = {path.name: inode for inode, path in beside.items()}
        if self._gone is not None:
            since = self._gone.changed_ns
            return self._changed_since(since, inodes, rotations(self.path.name, inodes)) if since else []
        for file in reversed(self._files):
            path = beside.get(file.inode)
            if file.until is not None and file.fd >= 0 and path is not None and path != self.path:
                since = os.fstat(file.fd).st_mtime_ns
                return self._changed_since(since, inodes, successors(self.path.name, path.name, inodes))
        return []

    def _changed_since(self, since: int, inodes: Mapping[str, int], names: Iterable[str]) -> list[int]:
        times = {name: changed_ns(self.path.with_name(name)) for name in names}
        return [inodes[name] for name in sorted(times, key=lambda name: times[name]) if times[name] >= since]

    # Their lines

    def read(self, count: int = BATCH_LINES, size: int = BATCH_BYTES) -> list[Line]:
        """New lines: at most `count`, and no more after `size` bytes. A file that cannot be read stops no other."""
        found: list[Line] = []
        for file in self._files:
            lines = list(self._read(file, count - len(found), size))
            found += lines
            size -= sum(len(line.text) for line in lines)
            if len(found) >= count or size <= 0:
                break
        return found

    def _read(self, file: OpenFile, count: int, size: int) -> Iterator[Line]:
        if file.done:
            return
        try:
            lines = file.read(count, size)
        except OSError as error:
            log.emit("watch_failed", reason=f"{self.path}: {error.strerror or error}")
            return
        yield from lines
        if file.until is None:
            return
        if lines and file.until:
            file.until = monotonic() + LINGER_S
        elif not lines and monotonic() > file.until:
            yield from file.rest()
            file.done = True

    def _drop(self, files: Sequence[OpenFile]) -> None:
        for file in list(files):
            file.close()
            self._files.remove(file)
