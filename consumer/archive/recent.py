"""Recent: the archived events that the broker may deliver again, read back from the archives.

A message comes again when it was archived and its acknowledgement did not reach the broker. Only the newest events of an instance
can be in that state. What is read is bounded, so that a start and a reconnect cost the same after a year: per instance, by the window
in the heads of its archives and by AGE_US before its newest event; in instances, by INSTANCES_MAX; in time, by IDLE_S.
Invariants: what is given is durable, by a seal, by a watermark or by a sync of ours; an instance whose ledger says that nothing
of it comes again is skipped without opening an archive. Used by the writer thread alone.
"""

import errno
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codec.event import Event
from consumer import log
from consumer.archive import ledger as ledgers
from consumer.archive import naming
from consumer.archive.catalog import all_batches
from consumer.archive.durable import Disk
from consumer.archive.reader import Batch, events_or_none, open_archive
from consumer.archive.watermark import durable_events, is_alive

INSTANCES_MAX = 32  # other instances, those that were active last
IDLE_S = 7 * 86_400.0  # another instance that was active before that is not read
AGE_US = 30 * 60 * 1_000_000  # RabbitMQ closes a channel on which an acknowledgement is missing for this long
WINDOW_MAX = 65_535  # the largest prefetch of AMQP

_ALL_EVENTS = 1 << 64  # more than an archive holds

Archived = tuple[str, Event]  # the text form of a position, and the event there
Place = tuple[int, int]  # sequence and event


@dataclass(frozen=True, slots=True)
class Own:
    """What our shelf says of the archives that it writes.

    `committed`: path of the open archive, and how many events of it are durable. `waiting`: archives that wait for recovery, and are not to be trusted.
    """

    committed: tuple[Path, int] | None
    waiting: frozenset[Path]


@dataclass
class _Instance:
    """What the directory itself says of an instance, without opening an archive."""

    touched_s: float = 0.0
    files: set[tuple[str, int, int, int]] = field(default_factory=set)  # name, inode, size and time of change


@dataclass
class _Seen:
    """Up to where an instance was read. `pending`: it was alive, so that its open archive was read up to its watermark only."""

    files: set[tuple[str, int, int, int]]
    upto: Place
    pending: bool = False


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Batches of one archive, in order."""

    path: Path
    sequence: int
    batches: list[Batch]

    @property
    def end(self) -> "Place":
        """The last event."""
        return self.sequence, _end(self.batches[-1]) - 1


class Recent:
    """The recent events of a directory. `after`: events of our own archives up to this sequence are known as acknowledged."""

    def __init__(
        self, disk: Disk, directory: Path, instance: str, own: Callable[[], Own], after: int = 0,
        wall: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._disk, self._directory, self._instance = disk, directory, instance
        self._own, self._after, self._wall = own, after, wall
        self._seen: dict[str, _Seen] = {}

    def window(self) -> Iterator[Archived]:
        """All that may come again, oldest first within an instance. For the begin of a generation."""
        self._seen.clear()
        others = self._others()
        paths = _archives_of(self._directory, {self._instance, *others})
        after = (self._after, _ALL_EVENTS)
        yield from _events(list(_plan(paths[self._instance], after, self._durable_own)), after)
        for name, found in others.items():
            yield from self._read_other(name, found, paths[name])

    def changed(self) -> Iterator[Archived]:
        """The same of other instances that archived something, or ended, since the last call; only what is new."""
        changed = {name: found for name, found in self._others().items() if self._has_changed(name, found)}
        if changed:
            paths = _archives_of(self._directory, set(changed))
            for name, found in changed.items():
                yield from self._read_other(name, found, paths[name])

    def _others(self) -> dict[str, _Instance]:
        """The other instances that were active last."""
        found: defaultdict[str, _Instance] = defaultdict(_Instance)
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if (name := _instance_of(entry.name)) is not None and name != self._instance:
                        _note(found[name], entry)
        except OSError as error:
            log.emit("recovery_deferred", path=str(self._directory), reason=str(error))
        since_s = self._wall() - IDLE_S
        active = [(name, one) for name, one in found.items() if one.touched_s >= since_s]
        active.sort(key=lambda pair: pair[1].touched_s, reverse=True)
        return dict(active[:INSTANCES_MAX])

    def _has_changed(self, name: str, found: _Instance) -> bool:
        seen = self._seen.get(name)
        return seen is None or seen.files != found.files or (seen.pending and not self._is_alive(name))

    def _is_alive(self, name: str) -> bool:
        try:
            return is_alive(self._directory, name)
        except OSError:
            return True  # unknown, and then its open archive is trusted up to the watermark only

    def _read_other(self, name: str, found: _Instance, paths: dict[int, Path]) -> Iterator[Archived]:
        """What is new of another instance; nothing of one whose last life ended with everything acknowledged."""
        after = self._seen[name].upto if name in self._seen else (0, _ALL_EVENTS)
        state = ledgers.read(self._directory / f"{name}.ledger")
        if state is not None and not (state.running or state.unsettled):
            self._seen[name] = _Seen(found.files, max(after, (state.sequence, _ALL_EVENTS)))
            return
        pending = self._is_alive(name)
        plan = list(_plan(paths, after, self._durable))
        self._seen[name] = _Seen(found.files, max(after, plan[0].end) if plan else after, pending)
        yield from _events(plan, after)

    def _durable(self, path: Path) -> int | None:
        try:
            return durable_events(self._disk, path)
        except FileNotFoundError:
            return None  # sealed this moment

    def _durable_own(self, path: Path) -> int | None:
        own = self._own()
        if own.committed is not None and path == own.committed[0]:
            return own.committed[1]
        if path in own.waiting:
            raise OSError(errno.EBUSY, "waits for recovery")
        return self._durable(path)


def _plan(paths: dict[int, Path], after: Place, durable: Callable[[Path], int | None]) -> Iterator[_Stretch]:
    """The recent batches of an instance, from its newest archive back; only heads, headers and footers are read.

    `durable`: how many events of an open archive are durable, None for all of them. An archive that cannot be read is left
    out: a redelivery of what it holds is then archived without a mark.
    """
    window = taken = 0
    oldest_us: int | None = None
    for sequence in sorted((one for one in paths if (one, _ALL_EVENTS) > after), reverse=True):
        path = paths[sequence]
        try:
            found, head_window = _batches(path, durable(path) if naming.parse_open(path) else None)
        except OSError as error:
            log.emit("recovery_deferred", path=str(path), reason=str(error))
            continue
        window = max(window, min(head_window, WINDOW_MAX))
        if found and oldest_us is None:
            # Of the last batch and not the latest time: the clock may have been set back.
            oldest_us = found[-1].header.last_arrived_us - AGE_US
        recent = _newest(found, window - taken, oldest_us or 0)
        taken += sum(batch.header.events for batch in recent)
        if recent:
            yield _Stretch(path, sequence, recent)
        if found and (taken >= window or len(recent) < len(found)):
            return


def _newest(batches: list[Batch], events: int, oldest_us: int) -> list[Batch]:
    """The last batches that hold `events` events and arrived after `oldest_us`, in order."""
    at = len(batches)
    while at and events > 0 and batches[at - 1].header.last_arrived_us >= oldest_us:
        at -= 1
        events -= batches[at].header.events
    return batches[at:]


def _batches(path: Path, durable: int | None) -> tuple[list[Batch], int]:
    """The batches with the first `durable` events of an archive, without their frames; and the window that it was written with."""
    if durable == 0:
        return [], 0
    with open_archive(path) as archive:
        if archive.head is None:
            return [], 0  # damaged: its window is unknown
        found = all_batches(archive)
        return [one for one in found if durable is None or _end(one) <= durable], archive.head.window


def _end(batch: Batch) -> int:
    return batch.header.first_event + batch.header.events


def _events(plan: list[_Stretch], after: Place) -> Iterator[Archived]:
    """The events of planned batches that come later than `after`, oldest first, with their positions."""
    for stretch in reversed(plan):
        try:
            with open_archive(stretch.path) as archive:
                id = archive.id
                for batch in stretch.batches:
                    for number, event in enumerate(events_or_none(archive, batch), batch.header.first_event):
                        if (stretch.sequence, number) > after:
                            yield f"{id}:{number}", event
        except OSError as error:
            log.emit("recovery_deferred", path=str(stretch.path), reason=str(error))


def _instance_of(name: str) -> str | None:
    """The instance that a file beside the archives belongs to, if it tells something of its state."""
    instance, _, kind = name.rpartition(".")
    if kind in ("ledger", "committed"):
        return instance if naming.is_instance(instance) else None
    archive = naming.parse_open(Path(name))
    return archive.instance if archive else None


def _note(instance: _Instance, entry: "os.DirEntry[str]") -> None:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return  # sealed or replaced this moment
    instance.touched_s = max(instance.touched_s, found.st_mtime)
    instance.files.add((entry.name, found.st_ino, found.st_size, found.st_mtime_ns))


def _archives_of(directory: Path, instances: Iterable[str]) -> defaultdict[str, dict[int, Path]]:
    """Paths of the archives of instances, by instance and sequence. Names only: nothing is opened."""
    wanted = set(instances)
    found: defaultdict[str, dict[int, Path]] = defaultdict(dict)
    for place, _, names in os.walk(directory):
        for name in names:
            if naming.SUFFIX not in name:
                continue
            archive = naming.parse_sealed(Path(name)) or naming.parse_open(Path(name))
            if archive is not None and archive.instance in wanted:
                found[archive.instance][archive.sequence] = Path(place, name)
    return found
