"""The inotify backend: the kernel reports in which directory something changed. The only module that imports asyncinotify.

Invariants: after an overflow of the kernel's queue, every directory is checked; a directory that is deleted, moved or
unmounted loses its watch, and gets a new one when it exists again. Source: inotify(7).
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

from consumer.watch.backend import EVERYWHERE, BackendName
from consumer.watch.renames import Rename

_ON_CLOSE = (
    Mask.CLOSE_WRITE | Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.ATTRIB
    | Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.ONLYDIR
)  # fmt: skip
_RENAMES_MAX = 10_000  # bounds the memory if the caller never asks for renames
_LOST = Mask.IGNORED | Mask.UNMOUNT | Mask.DELETE_SELF | Mask.MOVE_SELF
_DRAIN_S = 0.005  # one write gives several events; they cause one check
_DRAIN_S_MAX = 0.05


class Inotify:
    """Watches directories. `every_write`: report every write; otherwise, a file is reported when its writer closes it."""

    name = BackendName.INOTIFY
    reports_close = True

    def __init__(self, every_write: bool = False) -> None:
        self._kernel = Kernel(sync_timeout=0)
        self._mask = _ON_CLOSE | Mask.MODIFY if every_write else _ON_CLOSE
        self._watches: dict[Path, Watch] = {}
        self._directories: dict[Path, tuple[int, int]] = {}  # device and inode of each directory when it was watched
        self._interrupt_read, self._interrupt_write = os.pipe()
        os.set_blocking(self._interrupt_read, False)
        os.set_blocking(self._interrupt_write, False)
        self._poll = select.poll()  # select(2) accepts no descriptor above 1,023
        self._poll.register(self._kernel.fd, select.POLLIN)
        self._poll.register(self._interrupt_read, select.POLLIN)
        self._lock = threading.Lock()
        self._closed = False
        self._renames: list[Rename] = []
        self._moved: dict[int, list[Path]] = {}  # the old names of renames whose new name has not come yet, by cookie
        self._missed = True  # renames may have been missed

    def watch(self, directories: Collection[Path]) -> bool:
        """Watch these directories and no others. Return True if one of them is new.

        Raises OSError if one cannot be watched; the others are watched. After that, `renames` returns None once.
        """
        with self._lock:
            if self._closed:
                return False
            for path in list(self._watches):
                if path not in directories or _identity(path) != self._directories[path]:
                    self._remove_watch(path)  # not wanted any more, or its name belongs to another directory
            failures: list[OSError] = []
            missing = [path for path in directories if path not in self._watches]
            added = [path for path in missing if self._add_watch(path, failures)]
            self._missed |= bool(added or failures)
            for failure in failures:
                if not isinstance(failure, PermissionError):  # a directory without read permission is only checked
                    raise failure
            return bool(added)

    def _add_watch(self, path: Path, failures: list[OSError]) -> bool:
        try:
            self._directories[path] = _identity(path)
            self._watches[path] = self._kernel.add_watch(path, self._mask)
        except (FileNotFoundError, NotADirectoryError):
            return False  # deleted meanwhile; its parent reports when it exists again
        except OSError as failure:
            failures.append(failure)
            return False
        return True

    def _remove_watch(self, path: Path) -> None:
        watch = self._watches.pop(path)
        self._directories.pop(path)
        if all(watch.wd != other.wd for other in self._watches.values()):
            try:
                self._kernel.rm_watch(watch)
            except OSError:
                pass  # the kernel removed the watch with the directory

    def wait_for_changes(self, timeout_s: float) -> set[Path] | None:
        """Wait for changes, at most `timeout_s` seconds. Return their directories; EVERYWHERE if the kernel lost events."""
        self._poll.poll(max(timeout_s, 0) * 1000)
        found: set[Path] = set()
        lost = False
        end = monotonic() + _DRAIN_S_MAX
        with self._lock:
            if self._closed:
                return found
            with suppress(BlockingIOError):
                os.read(self._interrupt_read, 4096)
            while self._has_events(_DRAIN_S if found else 0):
                lost |= self._read(found)
                if monotonic() > end:
                    break  # changes may never stop
        return EVERYWHERE if lost else found

    def _has_events(self, timeout_s: float) -> bool:
        waiting = select.poll()
        waiting.register(self._kernel.fd, select.POLLIN)
        return bool(waiting.poll(timeout_s * 1000))

    def renames(self) -> list[Rename] | None:
        """The renames and removals since the last call, in their order; None if some may have been missed."""
        with self._lock:
            incomplete = list(self._moved)
            while not self._closed and self._has_events(0):
                self._read(set())
            for cookie in incomplete:  # no new name until now: the file was moved out of the watched directories
                self._add_renames(self._moved.pop(cookie, []), [])
            renames, self._renames = self._renames, []
            missed, self._missed = self._missed, False
        return None if missed else renames

    def _add_renames(self, sources: Sequence[Path | None], targets: Sequence[Path | None]) -> None:
        """Note a rename, once for each path under which its directories are watched."""
        pairs = product(sources or [None], targets or [None])
        self._renames += [Rename(source, target) for source, target in pairs]
        if len(self._renames) + len(self._moved) > _RENAMES_MAX:
            self._renames.clear()
            self._moved.clear()
            self._missed = True

    def _note_rename(self, event: Event, paths: list[Path]) -> None:
        if event.name is None:
            return
        names = [path / event.name for path in paths]
        if Mask.MOVED_FROM in event.mask:
            self._moved[event.cookie] = names
        elif Mask.MOVED_TO in event.mask:
            self._add_renames(self._moved.pop(event.cookie, []), names)
        elif Mask.DELETE in event.mask:
            self._add_renames(names, [])

    def _read(self, found: set[Path]) -> bool:
        """Read the events that the kernel has. Add their directories to `found`; return True if the kernel lost events."""
        lost = False
        while (event := self._kernel.sync_get()) is not None:
            watch = event.watch
            if watch is None or Mask.Q_OVERFLOW in event.mask:
                lost |= Mask.Q_OVERFLOW in event.mask
                self._missed |= lost
                continue
            paths = [path for path, own in self._watches.items() if own.wd == watch.wd]
            found.update(paths)
            self._note_rename(event, paths)
            if event.mask & _LOST:
                self._missed = True
                for path in paths:
                    self._remove_watch(path)
        return lost

    def interrupt(self) -> None:
        """End a wait in another thread."""
        if self._closed:
            return
        with suppress(BlockingIOError):  # the pipe is full: the waiting thread is woken anyway
            os.write(self._interrupt_write, b"x")

    def close(self) -> None:
        """Stop watching, and close the descriptors."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._kernel.close()
            os.close(self._interrupt_read)
            os.close(self._interrupt_write)


def _identity(path: Path) -> tuple[int, int]:
    """Device and inode of the directory that has this name now; zeros if there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
