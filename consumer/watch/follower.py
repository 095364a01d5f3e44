"""The files of one watched path: the one that has the name, and those that had it and are not read to their end.

Invariants: a file is read only if it has the watched name, or if a rename was seen by which it lost it, or if `neighbours` says what
proves that it had it, or that it is a copy of one that had it. A compressed file is never read, nor one that is watched itself.
`positions` never passes what was confirmed.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import monotonic

from consumer import log
from consumer.watch import log_events
from consumer.watch.lines import Line, OpenFile, Position
from consumer.watch.neighbours import TRIES, Neighbours, seen
from consumer.watch.paths import inode_of, kind_of, open_file, report, size_of
from consumer.watch.renames import Rename, RenameHistory

LINGER_S = 10.0  # how long a file that lost its name is read after it last grew: its writer may not know yet
NOTE_S = 10.0  # how often files beside are looked at although no name has changed: a write changes no directory
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
        self._beside = Neighbours(path, watched)
        self._files: list[OpenFile] = []  # the oldest first; the last one has the name
        self._history = RenameHistory(path)
        self._blind = False  # renames may not have been seen
        self._unseen = bool(start)  # so that files may have come and gone
        self._gone: Position | None = None  # of the newest file that was read before, if it is not there any more
        self._unread: list[int] = []  # inodes of files that came and went, and could not be opened yet
        self._known: dict[int, tuple[int, int]] = {}  # files beside it that no later rotation has named
        self._noted = 0, 0.0  # the last change of the directories when that was found out, and when it is again
        self._waiting = list(start or ())  # positions of files that were not found or given up yet
        self._at_end = start is None and not from_start
        self._look_first()
        self._at_end = False

    @property
    def _named(self) -> OpenFile | None:
        return self._files[-1] if self._files and self._files[-1].until is None else None

    @property
    def _held(self) -> set[int]:
        return {file.inode for file in self._files} | {position.inode for position in self._waiting}

    def positions(self) -> list[Position]:
        """Up to where each file has been confirmed, the oldest first."""
        return [*self._waiting, *(file.confirmed for file in self._files)]

    def confirm(self) -> None:
        """All that was given out is where it belongs."""
        for file in self._files:
            file.confirm()
        self._drop([file for file in self._files if file.done])

    def close(self) -> None:
        """Read nothing any more."""
        self._drop(self._files)

    # Which files

    def look(self, changes: Sequence[Rename] | None = None) -> None:
        """Find out which files have to be read. `changes`: all renames since the last look; None if some may not have been seen.

        Raises OSError; the next look makes up for it.
        """
        self._blind |= changes is None
        self._history.note(changes or ())
        self._drop([file for file in self._files if file.done and file.is_confirmed])
        self._blind |= self.path.is_symlink()  # it may lead through other directories, and where it leads may change
        for file in list(self._files):
            self._check(file)
        self._unseen |= self._blind and self._rotated()
        self._look_on()
        if self._blind:
            self._note_known()
        self._blind = False

    def _look_first(self) -> None:
        """A name that cannot be looked at stops no other file: the next look tries again."""
        try:
            self._look_on()
            self._note_known()
        except OSError as error:
            report(self.path, error)

    def _note_known(self) -> None:
        """What is beside the file now was not named by a rotation that comes later, as long as nothing is written to it."""
        changed_ns, now = self._beside.changed_ns(), monotonic()
        if not self._unseen and (changed_ns != self._noted[0] or now >= self._noted[1]):
            self._known = self._beside.stamps()
            self._noted = changed_ns, now + NOTE_S

    def _rotated(self) -> bool:
        named = self._named
        return named is not None and named.inode != inode_of(self.path)

    def _look_on(self) -> None:
        """The file that had the name, those that had it in between, and the one that has it now: in this order."""
        self._release_name()
        self._resume_waiting()
        for name in self._history.former:
            if self._beside.is_foreign(name) or self._adopt(partial(self._open_former, name)):
                self._history.opened(name)
        if self._unseen:
            self._look_for_unseen()
        self._open_unread()
        self._take_name()

    def _look_for_unseen(self) -> None:
        """Files may have come and gone. Which ones is found out once: a second time, those that were read meanwhile would be read again."""
        try:
            old = dict(self._known.items() & self._beside.stamps().items()) if self._known else {}
            inodes = [inode for inode in self._successors() if inode not in self._held and inode not in old]
        except OSError as error:
            report(self.path, error)
            return
        self._unread += [inode for inode in inodes if inode not in self._unread]
        self._unseen, self._gone = False, None

    def _open_unread(self) -> None:
        """What cannot be opened is tried again, and keeps no other file from being read."""
        self._unread = [inode for inode in self._unread if not self._adopt(partial(self._beside.open_inode, inode))]

    def _release_name(self) -> None:
        """Let the file linger that has lost its name, to another one or because it was removed."""
        named, inode = self._named, inode_of(self.path)
        if named is None or named.inode == inode:
            return
        if inode is not None:
            log.emit(log_events.FILE_ROTATED, path=str(self.path))
        if inode is not None or not os.fstat(named.fd).st_nlink:
            named.until = monotonic() + LINGER_S

    def _take_name(self) -> None:
        """Read the file that has the name now, from its beginning; go on in it if it had the name before."""
        inode = inode_of(self.path)
        if inode is None or self._named is not None:
            return  # renamed, and nothing has taken its name yet
        if inode in {position.inode for position in self._waiting}:
            return  # it is not to be read from its beginning
        back = next((file for file in self._files if file.inode == inode and file.fd >= 0 and not file.done), None)
        if back is not None:
            back.until = None
            self._files.sort(key=lambda file: file.until is None)
        elif (fd := open_file(self.path)) is not None:
            self._files.append(OpenFile(fd, at_end=self._at_end))
        elif (kind := kind_of(self.path)) is not None:
            log.emit(log_events.WATCH_FAILED, reason=f"{self.path} is {kind}; a regular file is expected")

    def _adopt(self, opening: Callable[[], int | None]) -> bool:
        """Read a file that had the name in between, if it is not open already; whether nothing is left to be tried again."""
        try:
            fd = opening()
            if fd is not None and os.fstat(fd).st_ino in self._held:
                os.close(fd)
            elif fd is not None:
                self._linger(OpenFile(fd))
        except OSError as error:
            report(self.path, error)
            return False
        return True

    def _open_former(self, path: Path) -> int | None:
        """Open a file that had the name. One that is open already may be closed to others since."""
        return None if inode_of(path) in self._held else open_file(path)

    def _linger(self, file: OpenFile, seconds: float | None = None) -> None:
        file.until = monotonic() + (LINGER_S if seconds is None else seconds)
        self._files.insert(len(self._files) - (self._named is not None), file)

    # What was read before

    def _resume_waiting(self) -> None:
        """Positions of files that cannot be read now are kept, and keep no other file from being read."""
        for position in list(self._waiting):
            try:
                if not self._resume(position):
                    self._give_up(position)
                self._waiting.remove(position)
            except OSError as error:
                report(self.path, error)
                self._gone = position  # what was written after it is looked for in the same way
        if not self._unseen:
            self._gone = None

    def _resume(self, position: Position) -> bool:
        """Go on in the file that a position is of, under the name that it has now, or in a copy of it; whether there is one."""
        for _ in range(TRIES):  # a rotation may be changing names
            path = self._path_of(position)
            named = path == self.path
            fd = None if path is None else self._beside.proven(path, position)
            if fd is None:
                named, fd = False, self._beside.copy_of(position, self._held)
            if fd is not None:
                file = OpenFile(fd, position)
                self._files.append(file) if named else self._linger(file)
                self._gone = None if seen(position) else position  # an empty file is no proof of what it had meanwhile
                return True
        return False

    def _path_of(self, position: Position) -> Path | None:
        return self.path if inode_of(self.path) == position.inode else self._beside.files().get(position.inode)

    def _give_up(self, position: Position) -> None:
        self._gone = position
        if inode_of(self.path) == position.inode:
            log.emit(log_events.FILE_TRUNCATED, path=str(self.path), size=size_of(self.path), position=position.offset)
        else:
            unread = max(position.size - position.offset, 0)
            log.emit(log_events.FILE_GONE, path=str(self.path), position=position.offset, unread=unread)

    def _check(self, file: OpenFile) -> None:
        """Begin a truncated file again. One that cannot be looked at stops no other."""
        try:
            if file.changed():
                self._restart(file)
        except OSError as error:
            report(self.path, error)

    def _restart(self, file: OpenFile) -> None:
        """What was read of a file is not in it any more: read it from its beginning, and what is left of before from a copy."""
        log.emit(log_events.FILE_TRUNCATED, path=str(self.path), size=os.fstat(file.fd).st_size, position=file.offset)
        fresh = OpenFile(os.dup(file.fd))
        fresh.until = file.until
        copy = self._beside.copy_of(file.position, self._held)
        self._unseen |= copy is not None
        file.move_to(-1 if copy is None else copy)
        file.until = 0.0 if copy is None else monotonic() + LINGER_S  # a copy is also what proves the next ones
        self._files.insert(self._files.index(file) + 1, fresh)

    def _successors(self) -> list[int]:
        """The inodes of files that the rotation has named after the newest one that is proven, the oldest first."""
        if self._gone is not None:
            return self._beside.rotated(self._gone.changed_ns + (not seen(self._gone))) if self._gone.changed_ns else []
        for file in reversed(self._files):
            if file.until is not None and file.fd >= 0:
                found = self._beside.successors(file.inode, os.fstat(file.fd).st_mtime_ns)
                if found is not None:
                    return found
        return []

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
            report(self.path, error)
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
