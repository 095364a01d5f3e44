"""FileMonitor: reports existing files and directories, and changes to them.

Role: the contract of the file monitor of Bcfg2. A monitor of a directory reports its entries by name, without the
directories below it; a monitor of a file reports the file by its full path. Invariants: monitors do not affect each
other, even on the same path; a change that the backend missed is found by comparing snapshots; a path that is deleted and created again is
watched again.
"""

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from time import monotonic

from consumer.watch.backend import EVERYWHERE, Backend
from consumer.watch.backends import choose
from consumer.watch.snapshot import FileEventKind, Snapshot, differences, settled, take_snapshot

IGNORED = ("*~", "*#", ".#*", "*.swp", "*.swpx", ".*.swx", "SCCS", ".svn", "4913", ".gitignore")
_LOGGER = logging.getLogger("deedbox.files")  # of the standard library, because other programs use the monitor
RESCAN_S = 60.0  # for changes that no backend reports, such as those of another client of a network file system


@dataclass(frozen=True, slots=True)
class FileEvent:
    """One event of a monitor.

    `id`: of the monitor. `name`: the full path if the event concerns the monitored path itself, or the name of an entry.
    """

    id: Hashable
    name: str
    kind: FileEventKind


Handler = Callable[[FileEvent], None]


@dataclass
class _Monitored:
    """One monitor. `reported`: the state that the events so far describe; `last`: the state at the last check."""

    path: Path
    handler: Handler
    reported: Snapshot = field(default_factory=Snapshot)
    last: Snapshot = field(default_factory=Snapshot)
    is_checked: bool = False


class FileMonitor:
    """Monitors of files and directories, with one queue of events.

    Add monitors before or after `start`. `poll` waits for changes and queues events; the `handle_…` methods call the
    handlers. `poll` and the `handle_…` methods are called by one thread, all others by any.

    `backend`: None chooses the best one that works (see `consumer.watch.backends.choose`). `ignored`: globs of the names
    whose events are not handled; by default the temporary files of editors and version control.
    """

    def __init__(self, backend: Backend | None = None, ignored: tuple[str, ...] = IGNORED) -> None:
        self.started = self._ended = False
        self._backend, self._ignored = backend, ignored
        self._monitored: dict[Hashable, _Monitored] = {}
        self._events: deque[FileEvent] = deque()
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._checked_at = 0.0

    def add(self, path: str | Path, handler: Handler, id: Hashable | None = None) -> Hashable:
        """Monitor a path, which need not exist. Return the id: `id`, or a new number.

        The next `poll` queues EXISTS events for the existing files, and END_EXIST. Raises ValueError if `id` is in use.
        """
        with self._lock:
            if id in self._monitored:
                raise ValueError(f"id {id!r} is in use for {self._monitored[id].path}; choose another id")
            while id is None or (id in self._monitored):
                id = next(self._numbers)
            self._monitored[id] = _Monitored(Path(path).absolute(), handler)
            if self._backend and self.started:
                self._backend.interrupt()
            return id

    def remove(self, id: Hashable) -> None:
        """Remove a monitor and its queued events. Raises KeyError if there is none with this id."""
        with self._lock:
            del self._monitored[id]
            self._events = deque(event for event in self._events if event.id != id)

    def start(self) -> None:
        """Check every path for the first time. A path that cannot be watched is logged and does not affect the others.

        Raises RuntimeError after `shutdown`.
        """
        if self._ended:
            raise RuntimeError("start was called after shutdown; make a new monitor")
        self._backend = self._backend or choose()
        self.started = True
        self.poll(0)

    def shutdown(self) -> None:
        """Stop watching. Queued events can still be handled."""
        self.started, self._ended = False, True  # before the backend is closed, so that no `poll` uses it after that
        if self._backend is not None:
            self._backend.close()

    def handlers(self) -> list[tuple[Hashable, Path]]:
        """The id and the path of every monitor."""
        with self._lock:
            return [(id, monitored.path) for id, monitored in self._monitored.items()]

    def should_ignore(self, name: str) -> bool:
        """Whether a path, or the last part of it, matches one of the ignored globs."""
        return any(fnmatch(name, glob) or fnmatch(Path(name).name, glob) for glob in self._ignored)

    def poll(self, timeout_s: float) -> int:
        """Wait for changes, at most `timeout_s` seconds, and queue their events. Return how many events are queued.

        Raises RuntimeError before `start` and after `shutdown`.
        """
        if self._backend is None or not self.started:
            raise RuntimeError("poll was called before start or after shutdown; a monitor watches between them")
        changed = self._backend.wait_for_changes(timeout_s)
        with self._lock:
            if not self.started:  # another thread has called `shutdown`
                return len(self._events)
            if monotonic() - self._checked_at > RESCAN_S:
                changed = EVERYWHERE
            if changed is EVERYWHERE:
                self._checked_at = monotonic()
            while self._watch_directories():
                changed = EVERYWHERE  # a directory that is new may have changed before it was watched
            for id, monitored in self._monitored.items():
                if not monitored.is_checked or changed is EVERYWHERE or changed & _directories_above(monitored.path):
                    self._check(id, monitored)
            return len(self._events)

    def _watch_directories(self) -> bool:
        assert self._backend is not None, "poll was called before start"
        wanted = set[Path]().union(*(_directories_to_watch(monitored.path) for monitored in self._monitored.values()))
        try:
            return self._backend.watch(wanted)
        except OSError as error:
            _LOGGER.warning("a directory cannot be watched, and is tried again: %s", error)
            return False

    def _check(self, id: Hashable, monitored: _Monitored) -> None:
        try:
            now = take_snapshot(monitored.path)
        except OSError as error:  # it may still exist: nothing is reported until it can be read
            _LOGGER.warning(
                "a path cannot be read, and is tried again: %s: %s", monitored.path, error.strerror or error
            )
            return
        if monitored.is_checked:
            self._report_changes(id, monitored, now)
        else:
            self._report_existing(id, monitored, now)

    def _report_existing(self, id: Hashable, monitored: _Monitored, now: Snapshot) -> None:
        monitored.reported = monitored.last = now
        monitored.is_checked = True
        if now.stat is not None:
            self._queue(id, monitored, FileEventKind.EXISTS, None)
        for name in sorted(now.entries):
            self._queue(id, monitored, FileEventKind.EXISTS, name)
        self._queue(id, monitored, FileEventKind.END_EXIST, None)

    def _report_changes(self, id: Hashable, monitored: _Monitored, now: Snapshot) -> None:
        assert self._backend is not None, "poll was called before start"
        whole = now if self._backend.reports_close else settled(monitored.reported, monitored.last, now)
        for kind, name in differences(monitored.reported, whole):
            self._queue(id, monitored, kind, name)
        monitored.reported, monitored.last = whole, now

    def _queue(self, id: Hashable, monitored: _Monitored, kind: FileEventKind, name: str | None) -> None:
        self._events.append(FileEvent(id, str(monitored.path) if name is None else name, kind))

    def pending(self) -> int:
        """How many events are queued."""
        return len(self._events)

    def get_event(self) -> FileEvent | None:
        """Remove the oldest event from the queue and return it; None if the queue is empty."""
        with self._lock:
            return self._events.popleft() if self._events else None

    def handle_one_event(self, event: FileEvent) -> bool:
        """Call the handler of an event. Return False if its name is ignored or its monitor was removed.

        An exception of the handler is logged with its traceback, and the next events are handled.
        """
        monitored = self._monitored.get(event.id)
        if monitored is None or self.should_ignore(event.name):
            return False
        try:
            monitored.handler(event)
        except Exception:  # a handler that fails must not stop the other handlers
            _LOGGER.exception("the handler of %s failed on the event %s of %s", monitored.path, event.kind, event.name)
        return True

    def handle_event_set(self, lock: AbstractContextManager[object] | None = None) -> int:
        """Handle all events that are queued now, while holding `lock`. Return how many were handled."""
        with lock or nullcontext():
            handled = 0
            for _ in range(len(self._events)):
                if event := self.get_event():
                    handled += self.handle_one_event(event)
            return handled

    def handle_events_in_interval(self, seconds: float) -> int:
        """Poll and handle for `seconds` seconds, even if events never stop. Return how many were handled."""
        handled, end = 0, monotonic() + seconds
        while (remaining := end - monotonic()) > 0:
            self.poll(0 if self._events else remaining)
            handled += self.handle_event_set()
        return handled


def _directories_to_watch(path: Path) -> set[Path]:
    """The path if it is a directory, and the nearest directory above it that exists: both report the events of the path."""
    try:
        above = next((parent for parent in path.parents if parent.is_dir()), path)
        return {above, path} if path.is_dir() else {above}
    except (OSError, ValueError):
        return set()  # no file can have this name: `take_snapshot` reports it


def _directories_above(path: Path) -> set[Path]:
    return {path, *path.parents}
