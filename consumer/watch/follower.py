"""FileFollower: the files of one watched path. These are the file with the name, and the files that had it and are not read to their end.

Invariants: a file is read only if it has the watched name, if a rename was reported by which it lost the name, or if there is one of
the proofs in `siblings`. A compressed file is never read, nor one that is followed by itself. `positions` never passes an
unconfirmed line.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import monotonic

from consumer import log
from consumer.watch import log_events
from consumer.watch.line_position import LinePosition, seen_bytes
from consumer.watch.lines import Line
from consumer.watch.missed_rotations import MissedRotations
from consumer.watch.open_file import OpenFile
from consumer.watch.paths import inode_of, kind_of, open_file, report, size_of
from consumer.watch.renames import Rename, RenameHistory
from consumer.watch.siblings import TRIES, SiblingFiles

LINGER_S = 10.0  # how long a file without its name is read after its last write: its writer may still have it open
BATCH_LINES = 500
BATCH_BYTES = 8 << 20


class FileFollower:
    """Follows one path. `look` finds its files, `read` returns their new lines, `confirm` marks these as delivered.

    `start`: up to where its files have been read before, the oldest first. Without it, the file is followed from its end,
    or from its beginning if `from_start` is set. `watched`: the paths that are followed by themselves.
    """

    def __init__(
        self,
        path: Path,
        start: Sequence[LinePosition] | None = None,
        from_start: bool = False,
        watched: Collection[Path] = (),
    ) -> None:
        self.path = path
        self._siblings = SiblingFiles(path, watched)
        self._files: list[OpenFile] = []  # the oldest first; the last one has the name
        self._history = RenameHistory(path)
        self._renames_missed = False
        self._missed = MissedRotations(path, self._siblings, suspected=bool(start))
        self._waiting = list(start or ())  # positions of files that were not found yet and are still searched for
        self._at_end = start is None and not from_start
        self._look_first()
        self._at_end = False

    @property
    def _named(self) -> OpenFile | None:
        return self._files[-1] if self._files and self._files[-1].give_up_at is None else None

    @property
    def _held(self) -> set[int]:
        return {file.inode for file in self._files} | {position.inode for position in self._waiting}

    def positions(self) -> list[LinePosition]:
        """Up to where the lines of each file were confirmed, the oldest file first."""
        return [*self._waiting, *(file.confirmed for file in self._files)]

    def confirm(self) -> None:
        """Confirm every line that was returned."""
        for file in self._files:
            file.confirm()
        self._close_files([file for file in self._files if file.is_finished])

    def close(self) -> None:
        """Close every file."""
        self._close_files(self._files)

    # Which files are read

    def look(self, renames: Sequence[Rename] | None = None) -> None:
        """Find the files that must be read. `renames`: all renames since the last call; None if some may have been missed.

        Raises OSError; the next call continues with the remaining steps.
        """
        self._renames_missed |= renames is None
        self._history.note(renames or ())
        self._close_files([file for file in self._files if file.is_finished and file.is_confirmed])
        self._renames_missed |= (
            self.path.is_symlink()
        )  # its target may be in a directory that is not watched, and may change
        for file in list(self._files):
            self._check(file)
        self._missed.suspected |= self._renames_missed and self._has_lost_its_name()
        self._update_files()
        if self._renames_missed:
            self._missed.remember()
        self._renames_missed = False

    def _look_first(self) -> None:
        """An error of the path does not affect the other paths: the next `look` tries again."""
        try:
            self._update_files()
            self._missed.remember()
        except OSError as error:
            report(self.path, error)

    def _has_lost_its_name(self) -> bool:
        named = self._named
        return named is not None and named.inode != inode_of(self.path)

    def _update_files(self) -> None:
        """The file that had the name, those that had it after that, and the one that has it now: in this order."""
        self._release_name()
        self._resume_waiting()
        for name in self._history.former:
            if self._siblings.is_excluded(name) or self._adopt(partial(self._open_former, name)):
                self._history.opened(name)
        self._missed.find(self._files, self._held)
        self._missed.open_unread(self._adopt)
        self._take_name()

    def _release_name(self) -> None:
        """Give the named file a time limit if it has lost its name to another file, or was removed."""
        named, inode = self._named, inode_of(self.path)
        if named is None or named.inode == inode:
            return
        if inode is not None:
            log.emit(log_events.FILE_ROTATED, path=str(self.path))
        if inode is not None or not os.fstat(named.fd).st_nlink:
            named.give_up_at = monotonic() + LINGER_S

    def _take_name(self) -> None:
        """Read the file that has the name now: from its beginning, or on if it had the name before."""
        inode = inode_of(self.path)
        if inode is None or self._named is not None:
            return  # it was renamed, and no file has its name yet
        if inode in {position.inode for position in self._waiting}:
            return  # it must not be read from its beginning
        back = next((file for file in self._files if file.inode == inode and _is_readable(file)), None)
        if back is not None:
            back.give_up_at = None
            self._files.sort(key=lambda file: file.give_up_at is None)
        elif (fd := open_file(self.path)) is not None:
            self._files.append(OpenFile(fd, at_end=self._at_end))
        elif (kind := kind_of(self.path)) is not None:
            log.emit(log_events.WATCH_FAILED, reason=f"{self.path} is {kind}; a regular file is expected")

    def _adopt(self, opening: Callable[[], int | None]) -> bool:
        """Read a file that had the name, if it is not open already. Return False if it must be tried again."""
        try:
            fd = opening()
            if fd is not None and os.fstat(fd).st_ino in self._held:
                os.close(fd)
            elif fd is not None:
                self._add_former(OpenFile(fd))
        except OSError as error:
            report(self.path, error)
            return False
        return True

    def _open_former(self, path: Path) -> int | None:
        """Open a file that had the name; None if it is open already, because its permissions may have changed since."""
        return None if inode_of(path) in self._held else open_file(path)

    def _add_former(self, file: OpenFile) -> None:
        file.give_up_at = monotonic() + LINGER_S
        self._files.insert(len(self._files) - (self._named is not None), file)

    # Positions of the last run

    def _resume_waiting(self) -> None:
        """A position whose file cannot be read now is kept, and does not affect the other files."""
        for position in list(self._waiting):
            try:
                if not self._resume(position):
                    self._give_up(position)
                self._waiting.remove(position)
            except OSError as error:
                report(self.path, error)
                self._missed.gone = position  # the files after it are found in the same way
        if not self._missed.suspected:
            self._missed.gone = None

    def _resume(self, position: LinePosition) -> bool:
        """Read on in the file of a position, under its present name, or in a copy. Return False if there is none."""
        for _ in range(TRIES):  # a rotation may change names at this moment
            path = self._path_of(position)
            named = path == self.path
            fd = None if path is None else self._siblings.open_same(path, position)
            if fd is None:
                named, fd = False, self._siblings.open_copy(position, self._held)
            if fd is not None:
                file = OpenFile(fd, position)
                self._files.append(file) if named else self._add_former(file)
                # An empty file proves nothing about the files after it.
                self._missed.gone = None if seen_bytes(position) else position
                return True
        return False

    def _path_of(self, position: LinePosition) -> Path | None:
        return self.path if inode_of(self.path) == position.inode else self._siblings.files().get(position.inode)

    def _give_up(self, position: LinePosition) -> None:
        self._missed.gone = position
        if inode_of(self.path) == position.inode:
            size = size_of(self.path)
            log.emit(log_events.FILE_TRUNCATED, path=str(self.path), size=size, position=position.offset)
        else:
            unread = max(position.size - position.offset, 0)
            log.emit(log_events.FILE_GONE, path=str(self.path), position=position.offset, unread=unread)

    # Truncation

    def _check(self, file: OpenFile) -> None:
        """Restart a truncated file. An error of one file does not affect the others."""
        try:
            if file.was_truncated():
                self._restart(file)
        except OSError as error:
            report(self.path, error)

    def _restart(self, file: OpenFile) -> None:
        """Read a truncated file from its beginning, and the rest of its former content from a copy, if there is one."""
        size = os.fstat(file.fd).st_size
        log.emit(log_events.FILE_TRUNCATED, path=str(self.path), size=size, position=file.offset)
        restarted = OpenFile(os.dup(file.fd))
        restarted.give_up_at = file.give_up_at
        copy = self._siblings.open_copy(file.position, self._held)
        self._missed.suspected |= copy is not None
        file.continue_in(-1 if copy is None else copy)
        file.give_up_at = 0.0 if copy is None else monotonic() + LINGER_S  # a copy also proves the files after it
        self._files.insert(self._files.index(file) + 1, restarted)

    # Lines

    def read(self, count: int = BATCH_LINES, size: int = BATCH_BYTES) -> list[Line]:
        """New lines: at most `count`, and none after `size` bytes. An error of one file does not affect the others."""
        found: list[Line] = []
        for file in self._files:
            lines = list(self._read(file, count - len(found), size))
            found += lines
            size -= sum(len(line.text) for line in lines)
            if len(found) >= count or size <= 0:
                break
        return found

    def _read(self, file: OpenFile, count: int, size: int) -> Iterator[Line]:
        if file.is_finished:
            return
        try:
            lines = file.read(count, size)
        except OSError as error:
            report(self.path, error)
            return
        yield from lines
        if file.give_up_at is None:
            return
        if lines and file.give_up_at:
            file.give_up_at = monotonic() + LINGER_S
        elif not lines and monotonic() > file.give_up_at:
            yield from file.remainder()
            file.is_finished = True

    def _close_files(self, files: Sequence[OpenFile]) -> None:
        for file in list(files):
            file.close()
            self._files.remove(file)


def _is_readable(file: OpenFile) -> bool:
    return file.fd >= 0 and not file.is_finished
