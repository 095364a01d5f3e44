"""Monitors on files and directories: who set them is told, in order, what exists and what happens.

Role: the contract of Bcfg2's file monitor. A monitor on a directory tells of its entries, by their names, and is not recursive; one
on a path tells of the path itself, by its full name. Invariants: monitors do not disturb each other, whatever their paths;
what happened while nobody looked, or while the kernel's queue overflowed, is found by looking; a path that goes and comes
back is watched again.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from time import monotonic

from consumer import log
from consumer.watch.backend import EVERYWHERE, Backend
from consumer.watch.backends import choose
from consumer.watch.snapshot import Kind, Snapshot, changes, settled, take

IGNORED = ("*~", "*#", ".#*", "*.swp", "*.swpx", ".*.swx", "SCCS", ".svn", "4913", ".gitignore")
RESCAN_S = 60.0  # for what no backend can see: changes made elsewhere on a network's file system


@dataclass(frozen=True, slots=True)
class FileEvent:
    """What is handed to a handler. `name`: the full path of what is monitored itself, the bare name of an entry."""

    id: Hashable
    name: str
    kind: Kind


Handler = Callable[[FileEvent], None]


@dataclass
class _Watched:
    """One monitor that was set."""

    path: Path
    handler: Handler
    told: Snapshot = field(default_factory=Snapshot)
    last: Snapshot = field(default_factory=Snapshot)
    begun: bool = False


class Monitor:
    """Add monitors, start, then handle events one by one, all that wait, or for a time."""

    def __init__(self, backend: Backend | None = None, ignored: tuple[str, ...] = IGNORED) -> None:
        self.started = False
        self._backend, self._ignored = backend, ignored
        self._watched: dict[Hashable, _Watched] = {}
        self._events: deque[FileEvent] = deque()
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._looked = 0.0

    def add(self, path: Path, handler: Handler, id: Hashable | None = None) -> Hashable:
        """Set a monitor, before or after the start; says its id. What exists is told at the next look.

        Raises ValueError for an id that is taken.
        """
        with self._lock:
            if id in self._watched:
                raise ValueError(f"{id!r} monitors {self._watched[id].path} already")
            while id is None or (id in self._watched):
                id = next(self._numbers)
            self._watched[id] = _Watched(path.absolute(), handler)
            if self._backend and self.started:
                self._backend.interrupt()
            return id

    def remove(self, id: Hashable) -> None:
        """Take a monitor away; what was not handled of it never will be. Raises KeyError."""
        with self._lock:
            del self._watched[id]
            self._events = deque(event for event in self._events if event.id != id)

    def start(self) -> None:
        """Look for the first time. A path that cannot be watched is told of and keeps no other from being so."""
        self._backend = self._backend or choose()
        self.started = True
        self.look(0)

    def shutdown(self) -> None:
        """Watch nothing any more; what waits can still be handled."""
        if self._backend is not None:
            self._backend.close()
        self.started = False

    def handlers(self) -> list[tuple[Hashable, Path]]:
        """Every monitor, by its id."""
        with self._lock:
            return [(id, watched.path) for id, watched in self._watched.items()]

    def should_ignore(self, name: str) -> bool:
        """Whether a name, or its last part, is one of those that editors and version control leave about."""
        return any(fnmatch(name, glob) or fnmatch(Path(name).name, glob) for glob in self._ignored)

    def look(self, timeout_s: float) -> int:
        """Wait for something to happen, for so long at most, and queue it; says how many events wait."""
        assert self._backend is not None, "looked before the start"
        dirty = self._backend.dirty(timeout_s)
        with self._lock:
            if monotonic() - self._looked > RESCAN_S:
                dirty = EVERYWHERE
            if dirty is EVERYWHERE:
                self._looked = monotonic()
            while self._arm():
                dirty = EVERYWHERE  # a directory that came back has had a life before it was watched
            for id, watched in self._watched.items():
                if watched.begun and dirty is not EVERYWHERE and not dirty & _around(watched.path):
                    continue
                try:
                    (self._scan if watched.begun else self._begin)(id, watched)
                except OSError as error:  # not the same as being gone: what was told holds until it can be looked at
                    log.emit("watch_failed", reason=f"{watched.path}: {error.strerror or error}")
            return len(self._events)

    def _arm(self) -> bool:
        assert self._backend is not None, "armed before the start"
        wanted = set[Path]().union(*(_places(watched.path) for watched in self._watched.values()))
        try:
            return self._backend.arm(wanted)
        except OSError as error:
            log.emit("watch_failed", reason=str(error))
            return False

    def _begin(self, id: Hashable, watched: _Watched) -> None:
        watched.told = watched.last = now = take(watched.path)
        watched.begun = True
        if now.stamp is not None:
            self._tell(id, watched, Kind.EXISTS, None)
        for name in sorted(now.entries):
            self._tell(id, watched, Kind.EXISTS, name)
        self._tell(id, watched, Kind.END_EXIST, None)

    def _scan(self, id: Hashable, watched: _Watched) -> None:
        assert self._backend is not None, "scanned before the start"
        now = take(watched.path)
        known = now if self._backend.sees_ends else settled(watched.told, watched.last, now)
        for kind, name in changes(watched.told, known):
            self._tell(id, watched, kind, name)
        watched.told, watched.last = known, now

    def _tell(self, id: Hashable, watched: _Watched, kind: Kind, name: str | None) -> None:
        self._events.append(FileEvent(id, str(watched.path) if name is None else name, kind))

    def pending(self) -> int:
        """How many events wait."""
        return len(self._events)

    def get_event(self) -> FileEvent | None:
        """The oldest event that waits, taken out."""
        with self._lock:
            return self._events.popleft() if self._events else None

    def handle_one_event(self, event: FileEvent) -> bool:
        """Hand an event to its handler; False if it was ignored or its monitor is gone. A handler's failure is logged."""
        watched = self._watched.get(event.id)
        if watched is None or self.should_ignore(event.name):
            return False
        try:
            watched.handler(event)
        except Exception as error:  # noqa: BLE001 -- whatever a handler does, the others are told of what follows
            log.emit("handler_failed", path=event.name, reason=f"{type(error).__name__}: {error}")
        return True

    def handle_event_set(self, lock: AbstractContextManager[object] | None = None) -> int:
        """Handle all that waits now, under a lock if one is given; says how many were handled."""
        with lock or nullcontext():
            handled = 0
            for _ in range(len(self._events)):
                if event := self.get_event():
                    handled += self.handle_one_event(event)
            return handled

    def handle_events_in_interval(self, seconds: float) -> int:
        """Handle what comes within so many seconds, under steady traffic too; says how many were handled."""
        handled, end = 0, monotonic() + seconds
        while (left := end - monotonic()) > 0:
            self.look(0 if self._events else left)
            handled += self.handle_event_set()
        return handled


def _places(path: Path) -> set[Path]:
    """The directories in which something can happen to a path: itself, and the nearest one above it that is there."""
    try:
        above = next((parent for parent in path.parents if parent.is_dir()), path)
        return {above, path} if path.is_dir() else {above}
    except (OSError, ValueError):
        return set()  # a name that no path can have: the look says so


def _around(path: Path) -> set[Path]:
    return {path, *path.parents}
