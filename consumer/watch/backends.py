"""Who says where to look again: inotify, polling, or nobody.

A backend with a higher priority is better where it is available; one that was asked for by name and is not available is an error,
and a fall-back is logged: nothing is replaced in silence.
"""

import threading
from collections.abc import Callable, Collection
from pathlib import Path

from consumer import log
from consumer.errors import Exit, Fatal
from consumer.watch.backend import EVERYWHERE, Backend
from consumer.watch.renames import Change

POLL_S = 0.5


class Polling:
    """Looks everywhere, again and again: for file systems that tell nothing, such as those of a network."""

    name = "polling"
    priority = 10
    sees_ends = False

    def __init__(self, interval_s: float = POLL_S) -> None:
        self._interval_s = interval_s
        self._woken = threading.Event()

    def arm(self, _directories: Collection[Path], /) -> bool:
        """Nothing needs to be armed."""
        return False

    def dirty(self, timeout_s: float) -> set[Path] | None:
        """Everywhere, after the interval or the timeout."""
        self._woken.wait(min(timeout_s, self._interval_s))
        self._woken.clear()
        return EVERYWHERE

    def changes(self) -> list[Change] | None:
        """Looking sees no renames."""
        return None

    def interrupt(self) -> None:
        """End a wait."""
        self._woken.set()

    def close(self) -> None:
        """End a wait, too."""
        self._woken.set()


class Static(Polling):
    """What exists when a monitor is set, and nothing after."""

    name = "static"
    priority = 1
    sees_ends = True

    def dirty(self, timeout_s: float) -> set[Path] | None:
        """Nowhere."""
        self._woken.wait(timeout_s)
        self._woken.clear()
        return set()


def _inotify(growth: bool) -> Backend:
    from consumer.watch.inotify import Inotify

    return Inotify(growth)


def _polling(growth: bool) -> Backend:
    return Polling(POLL_S / 10 if growth else POLL_S)


_MAKERS: dict[str, tuple[int, Callable[[bool], Backend]]] = {
    "inotify": (99, _inotify), "polling": (10, _polling), "static": (1, lambda _: Static()),
}  # fmt: skip


def available() -> list[str]:
    """The backends that work here, the best first."""
    found = []
    for name in sorted(_MAKERS, key=lambda name: -_MAKERS[name][0]):
        try:
            _MAKERS[name][1](False).close()
        except (ImportError, OSError):
            continue
        found.append(name)
    return found


def choose(name: str | None = None, growth: bool = False) -> Backend:
    """The backend of this name, or the best one. Raises Fatal for one that does not work here.

    `growth`: tell of every write, for those who follow files; else of the end of writing.
    """
    if name is not None and name not in _MAKERS:
        raise Fatal(Exit.SETTINGS, f"no watch backend {name!r}", f"one of {', '.join(_MAKERS)}")
    try:
        return _MAKERS[name or "inotify"][1](growth)
    except (ImportError, OSError) as error:
        if name is not None:
            raise Fatal(
                Exit.SETTINGS, f"watch backend {name!r}: {error}", f"take one of {', '.join(available())}"
            ) from error
        log.emit("watch_fallback", backend=Polling.name, reason=str(error))
        return _polling(growth)
