"""The inotify backend: the kernel says in which directory something happened. The only module that imports asyncinotify.

Invariants: an overflow of the kernel's queue, an unmount and a watch that went with its directory all mean: look again;
a directory that comes back is watched again. Source: inotify(7).
"""

import os
import select
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from time import monotonic

from asyncinotify import Event, Mask, Watch
from asyncinotify import Inotify as Kernel

from consumer.watch.backend import EVERYWHERE
from consumer.watch.renames import Change

_ENDS = (
    Mask.CLOSE_WRITE | Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.ATTRIB
    | Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.ONLYDIR
)  # fmt: skip
_CHANGES_MAX = 10_000  # a reader that does not ask for renames must not make them a leak
_GONE = Mask.IGNORED | Mask.UNMOUNT | Mask.DELETE_SELF | Mask.MOVE_SELF
_DRAIN_S = 0.005  # what one writer does comes in several events; they are one look
_DRAIN_S_MAX = 0.05


class Inotify:
    """Watches directories. `growth`: also tells of every write, not only of the end of writing."""

    name = "inotify"
    priority = 99
    sees_ends = True

    def __init__(self, growth: bool = False) -> None:
        self._kernel = Kernel(sync_timeout=0)
        self._mask = _ENDS | Mask.MODIFY if growth else _ENDS
        self._watches: dict[Path, Watch] = {}
        self._files: dict[Path, tuple[int, int]] = {}  # what each path was when it was watched
        self._waker, self._wakes = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._wakes, False)
        self._poll = select.poll()  # select(2) takes no descriptor past 1,023
        self._poll.register(self._kernel.fd, select.POLLIN)
        self._poll.register(self._waker, select.POLLIN)
        self._lock = threading.Lock()
        self._closed = False
        self._changes: list[Change] = []
        self._moved: dict[
            int, list[Path]
        ] = {}  # the first half of a rename, by its cookie, until the second half comes
        self._missed = True  # whether there may have been changes that were not seen

    def arm(self, directories: Collection[Path]) -> bool:
        """Watch these directories and no others; whether one is watched that was not before.

        Raises OSError if one could not be watched, after the others. Of one that is not watched, `changes` says that some were missed.
        """
        with self._lock:
            if self._closed:
                return False
            for path in list(self._watches):
                if path not in directories or _file(path) != self._files[path]:
                    self._forget(path)  # not wanted any more, or another directory has its name
            failures: list[OSError] = []
            missing = [path for path in directories if path not in self._watches]
            fresh = [path for path in missing if self._add(path, failures)]
            self._missed |= bool(fresh or failures)
            for failure in failures:
                if not isinstance(failure, PermissionError):  # a directory that may not be read is only looked at
                    raise failure
            return bool(fresh)

    def _add(self, path: Path, failures: list[OSError]) -> bool:
        try:
            self._files[path] = _file(path)
            self._watches[path] = self._kernel.add_watch(path, self._mask)
        except (FileNotFoundError, NotADirectoryError):
            return False  # gone again; its parent tells when it is back
        except OSError as failure:
            failures.append(failure)
            return False
        return True

    def _forget(self, path: Path) -> None:
        watch = self._watches.pop(path)
        self._files.pop(path)
        if all(watch.wd != other.wd for other in self._watches.values()):
            try:
                self._kernel.rm_watch(watch)
            except OSError:
                pass  # the kernel has forgotten it already, with its directory

    def dirty(self, timeout_s: float) -> set[Path] | None:
        """Directories in which something happened."""
        self._poll.poll(max(timeout_s, 0) * 1000)
        with suppress(BlockingIOError):
            os.read(self._waker, 4096)
        found: set[Path] = set()
        lost = False
        end = monotonic() + _DRAIN_S_MAX
        with self._lock:
            while not self._closed and self._more(_DRAIN_S if found else 0):
                lost |= self._read(found)
                if monotonic() > end:
                    break  # under steady traffic there is no end to wait for
        return EVERYWHERE if lost else found

    def _more(self, timeout_s: float) -> bool:
        waiting = select.poll()
        waiting.register(self._kernel.fd, select.POLLIN)
        return bool(waiting.poll(timeout_s * 1000))

    def changes(self) -> list[Change] | None:
        """The renames and removals since the last call, in their order; None if some may not have been seen."""
        with self._lock:
            halves = list(self._moved)
            while not self._closed and self._more(0):
                self._read(set())
            for cookie in halves:  # no second half in all this time: it has left the directories that are watched
                self._note(self._moved.pop(cookie, []), [])
            changes, self._changes = self._changes, []
            missed, self._missed = self._missed, False
        return None if missed else changes

    def _note(self, sources: Sequence[Path | None], targets: Sequence[Path | None]) -> None:
        """A rename, under each name that its directories are watched by."""
        pairs = product(sources or [None], targets or [None])
        self._changes += [Change(source, target) for source, target in pairs]
        if len(self._changes) + len(self._moved) > _CHANGES_MAX:
            self._changes.clear()
            self._moved.clear()
            self._missed = True

    def _follow(self, event: Event, paths: list[Path]) -> None:
        if event.name is None:
            return
        names = [path / event.name for path in paths]
        if Mask.MOVED_FROM in event.mask:
            self._moved[event.cookie] = names
        elif Mask.MOVED_TO in event.mask:
            self._note(self._moved.pop(event.cookie, []), names)
        elif Mask.DELETE in event.mask:
            self._note(names, [])

    def _read(self, found: set[Path]) -> bool:
        """Take what the kernel has in one read; whether something was lost."""
        lost = False
        while (event := self._kernel.sync_get()) is not None:
            watch = event.watch
            if watch is None or Mask.Q_OVERFLOW in event.mask:
                lost |= Mask.Q_OVERFLOW in event.mask
                self._missed |= lost
                continue
            paths = [path for path, own in self._watches.items() if own.wd == watch.wd]
            found.update(paths)
            self._follow(event, paths)
            if event.mask & _GONE:
                self._missed = True
                for path in paths:
                    self._forget(path)
        return lost

    def interrupt(self) -> None:
        """End a wait."""
        if self._closed:
            return
        with suppress(BlockingIOError):  # it is full of them: whoever waits is woken
            os.write(self._wakes, b"x")

    def close(self) -> None:
        """Watch nothing any more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._kernel.close()
            os.close(self._waker)
            os.close(self._wakes)


def _file(path: Path) -> tuple[int, int]:
    """Which directory has this name now."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
