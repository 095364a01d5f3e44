"""Directories of sealed archives, and workers of steps on seal over them."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consumer.archive.listing import find_archives
from consumer.archive.naming import parse_sealed
from consumer.archive.position import Position
from consumer.disk.durable import Disk
from consumer.follow.checkpoint import Checkpoint, Confirmed, StreamName
from consumer.ship.steps.effects import Departure, Effects
from consumer.ship.steps.reports import Reports
from consumer.ship.steps.step import parse_steps
from consumer.ship.steps.worker import Worker
from tests.support.archive_logs import archive_log, some

ENVIRON = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "PYTHON": sys.executable}


def sealed(directory: Path, count: int, instance: str = "one", each: int = 3) -> list[Path]:
    """A directory with this number of sealed archives of an instance, which was closed cleanly."""
    one = archive_log(directory, instance=instance)
    for number in range(count):
        one.append(some(number * each, each))
        one.roll("test")
    return [path for path in find_archives([directory]) if (id := parse_sealed(path)) and id.instance == instance]


def checkpoint(directory: Path, name: str, *positions: str, home: str = ".") -> Path:
    """Register a follower that has confirmed these events, of instances that write to `home` below the directory."""
    one = Checkpoint(Disk(), directory, name)
    places = map(Position.parse, positions)
    one.store({StreamName(home, at.instance): Confirmed(at, "0" * 16) for at in places})
    one.close()
    return one.path


@dataclass
class Clock:
    """A clock that the test moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Seen:
    """What a worker asked for: departures for the chain of digests, and archives that must be at the destinations."""

    departures: list[Departure] = field(default_factory=list)
    asked: list[Path] = field(default_factory=list)


def worker(
    directory: Path, *texts: str, disk: Disk | None = None, shipped: Callable[[Path], bool] | None = None,
    seen: Seen | None = None, clock: Clock | None = None, timeout_s: float = 30.0, retire: Callable[[Sequence[Departure]], None] | None = None,
) -> Worker:  # fmt: skip
    disk, seen, clock = disk or Disk(), seen or Seen(), clock or Clock()
    asked = (lambda path, name: shipped(path)) if shipped else None
    effects = Effects(disk, directory, asked, retire or seen.departures.extend, ENVIRON, timeout_s)
    return Worker(disk, directory, parse_steps(texts), effects, clock=clock, reports=Reports(clock))
