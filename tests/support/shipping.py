"""Directories to ship, destinations, and what they hold."""

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from consumer.archive.listing import find_archives
from consumer.archive.naming import parse_sealed
from consumer.archive.writing.rolling import RollReason
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.destination import Destination, Limits
from consumer.ship.pacing import Bandwidth
from consumer.ship.target import Target, target_of
from tests.support.archive_logs import archive_log, some


class Reports:
    """Keeps every report as (kind, name, reason)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []
        self.bytes = 0
        self._lock = threading.Lock()

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.lines]

    def shipped(self, destination: str, name: str, size: int, seconds: float) -> None:
        self.lines.append(("shipped", name, str(size)))

    def advance(self, size: int) -> None:
        with self._lock:
            self.bytes += size

    def failed(self, destination: str, name: str, reason: str, retry_s: float) -> None:
        self.lines.append(("failed", name, reason))

    def refused(self, destination: str, name: str, reason: str) -> None:
        self.lines.append(("refused", name, reason))

    def held(self, destination: str, name: str, reason: str) -> None:
        self.lines.append(("held", name, reason))

    def defect(self, destination: str, name: str, error: str, retry_s: float) -> None:
        self.lines.append(("defect", name, error))

    def missing(self, destination: str, name: str, reason: str) -> None:
        self.lines.append(("missing", name, reason))

    def down(self, destination: str, reason: str, retry_s: float) -> None:
        self.lines.append(("down", destination, reason))

    def works(self, destination: str) -> None:
        self.lines.append(("works", destination, ""))

    def digests_failed(self, path: str, reason: str) -> None:
        self.lines.append(("digests_failed", path, reason))


def seal(directory: Path, count: int = 3, events: int = 4, size: int = 20, instance: str = "one") -> list[Path]:
    """Archive events in this number of new archives. All sealed archives of the directory."""
    log = archive_log(directory, instance=instance)
    before = len(sealed(directory))
    for number in range(before, before + count):
        log.append(some(number * events, events) if size == 20 else [_large(serial, size) for serial in range(events)])
        log.roll(RollReason.SIGNAL)
    return sealed(directory)


def _large(serial: int, size: int):
    """An event whose body does not compress."""
    from codec.event import Event
    from tests.support.archive_logs import START_US

    body = b"".join(hashlib.sha256(b"%d %d" % (serial, part)).digest() for part in range(size // 32))
    return Event(f"large-{serial}", "large", START_US + serial, START_US + serial, "exchange", "key", b"\0\0", body)


def sealed(directory: Path) -> list[Path]:
    return [path for path in find_archives([directory]) if parse_sealed(path)]


class Clock:
    """A time that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def destination(
    directory: Path,
    target: ObjectUrl | Target,
    reports: Reports | None = None,
    stop: threading.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
    **limits: float,
) -> Destination:
    """A destination without a bandwidth limit."""
    made = Limits(Bandwidth(0), **limits)  # type: ignore[arg-type]  # the numbers are of the right types
    target = target if isinstance(target, Target) else target_of(target)
    return Destination(directory, target, made, reports or Reports(), stop or threading.Event(), clock)


class Store:
    """A storage of which a test replaces methods; everything else is that of the real one."""

    def __init__(self, url: ObjectUrl) -> None:
        self.real = store_of(url)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def holds(url: ObjectUrl) -> dict[str, str]:
    """The SHA-256 of the content of every object below a URL, by its name below it."""
    store = store_of(url)
    return {found.url.relative(url): hashlib.sha256(store.get(found.url)).hexdigest() for found in store.list(url)}


def local(directory: Path, *paths: Path) -> dict[str, str]:
    """The SHA-256 of every sealed archive, or of these files, by its name below the directory."""
    return {path.relative_to(directory).as_posix(): sha256(path) for path in paths or sealed(directory)}
