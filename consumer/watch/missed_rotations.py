"""MissedRotations: finds the files that were created and rotated away while no rename was reported.

Invariant: a file is found once. Files that were in the directory of the watched one before cannot come from a later rotation, as long as
nothing is written to them.
"""

import os
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from time import monotonic

from consumer.watch.line_position import LinePosition, seen_bytes
from consumer.watch.open_file import OpenFile
from consumer.watch.paths import report
from consumer.watch.siblings import SiblingFiles

REMEMBER_S = 10.0  # how often siblings are listed although no name has changed: a write does not change a directory


class MissedRotations:
    """Of `path`. `suspected`: files may have been missed. `unread`: the inodes of files that must be read, the oldest first.

    `gone`: the position of the newest file that was read before, if that file does not exist any more.
    """

    def __init__(self, path: Path, siblings: SiblingFiles, suspected: bool) -> None:
        self.suspected = suspected
        self.gone: LinePosition | None = None
        self.unread: list[int] = []
        self._path, self._siblings = path, siblings
        self._known: dict[int, tuple[int, int]] = {}  # files that no later rotation has named, with their last write
        self._remembered_ns, self._remember_at = 0, 0.0

    def remember(self) -> None:
        """List the files in the directory of the watched one now. Raises OSError."""
        changed_ns, now = self._siblings.directories_changed_ns(), monotonic()
        if not self.suspected and (changed_ns != self._remembered_ns or now >= self._remember_at):
            self._known = self._siblings.write_times()
            self._remembered_ns, self._remember_at = changed_ns, now + REMEMBER_S

    def find(self, files: Sequence[OpenFile], held: Collection[int]) -> None:
        """Add the missed files to `unread`. `files`: those that are read; `held`: inodes that are not missed.

        It searches once, because a second search would find the files that were read in the meantime.
        """
        if not self.suspected:
            return
        try:
            old = dict(self._known.items() & self._siblings.write_times().items()) if self._known else {}
            inodes = [inode for inode in self._later_than(files) if inode not in held and inode not in old]
        except OSError as error:
            report(self._path, error)
            return
        self.unread += [inode for inode in inodes if inode not in self.unread]
        self.suspected, self.gone = False, None

    def _later_than(self, files: Sequence[OpenFile]) -> list[int]:
        """The inodes of the files that the rotation has named after the newest verified file, the oldest first."""
        if self.gone is not None:
            since_ns = self.gone.changed_ns + (not seen_bytes(self.gone))
            return self._siblings.rotated_since(since_ns) if self.gone.changed_ns else []
        for file in reversed(files):
            if file.give_up_at is not None and file.fd >= 0:
                found = self._siblings.rotated_after(file.inode, os.fstat(file.fd).st_mtime_ns)
                if found is not None:
                    return found
        return []

    def open_unread(self, adopt: Callable[[Callable[[], int | None]], bool]) -> None:
        """Have `adopt` open each file in `unread`. A file that cannot be opened is tried again at the next call."""
        self.unread = [inode for inode in self.unread if not adopt(partial(self._siblings.open_inode, inode))]
