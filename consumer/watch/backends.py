"""Choose a backend, and the two backends that need no kernel support.

Invariant: no backend is replaced silently. A backend that the caller names and that does not work is an error; if the
default one does not work, the replacement is logged.
"""

import threading
from collections.abc import Callable, Collection
from pathlib import Path

from consumer import log
from consumer.errors import Exit, Fatal
from consumer.watch import log_events
from consumer.watch.backend import EVERYWHERE, Backend, BackendName
from consumer.watch.renames import Rename

POLL_S = 0.5


class Polling:
    """Has every file checked at an interval: for file systems that report no changes, such as network file systems."""

    name = BackendName.POLLING
    reports_close = False

    def __init__(self, interval_s: float = POLL_S) -> None:
        self._interval_s = interval_s
        self._interrupted = threading.Event()

    def watch(self, _directories: Collection[Path], /) -> bool:
        """There is nothing to set up."""
        return False

    def wait_for_changes(self, timeout_s: float) -> set[Path] | None:
        """EVERYWHERE, after the interval or the timeout."""
        self._interrupted.wait(min(timeout_s, self._interval_s))
        self._interrupted.clear()
        return EVERYWHERE

    def renames(self) -> list[Rename] | None:
        """Polling sees no renames."""
        return None

    def interrupt(self) -> None:
        """End a wait in another thread."""
        self._interrupted.set()

    def close(self) -> None:
        """End a wait in another thread."""
        self._interrupted.set()


class Static(Polling):
    """Reports the existing files when a monitor is added, and no later changes."""

    name = BackendName.STATIC
    reports_close = True

    def wait_for_changes(self, timeout_s: float) -> set[Path] | None:
        """No directory, after the timeout."""
        self._interrupted.wait(timeout_s)
        self._interrupted.clear()
        return set()


def _inotify(every_write: bool) -> Backend:
    from consumer.watch.inotify import Inotify

    return Inotify(every_write)


def _polling(every_write: bool) -> Backend:
    return Polling(POLL_S / 10 if every_write else POLL_S)


_MAKERS: dict[BackendName, Callable[[bool], Backend]] = {
    BackendName.INOTIFY: _inotify, BackendName.POLLING: _polling, BackendName.STATIC: lambda _: Static(),
}  # fmt: skip


def available() -> list[BackendName]:
    """The backends that work on this machine, the best one first."""
    found = []
    for name in BackendName:
        try:
            _MAKERS[name](False).close()
        except (ImportError, OSError):
            continue
        found.append(name)
    return found


def choose(name: str | None = None, every_write: bool = False) -> Backend:
    """The backend with this name; without a name, inotify, or polling if inotify does not work.

    `every_write`: report every write, for readers that follow a growing file. Otherwise a change is reported when the
    writer closes the file. Raises ValueError for a name that does not exist, and Fatal if the backend does not work on this machine.
    """
    if name is not None and name not in list(BackendName):
        raise ValueError(f"no watch backend {name!r}; choose one of {', '.join(BackendName)}")
    try:
        return _MAKERS[BackendName(name or BackendName.INOTIFY)](every_write)
    except (ImportError, OSError) as error:
        if name is not None:
            what = f"watch backend {name!r} does not work here: {error}"
            raise Fatal(Exit.SETTINGS, what, f"choose one of {', '.join(available())}") from error
        log.emit(log_events.WATCH_FALLBACK, backend=Polling.name, reason=str(error))
        return _polling(every_write)
