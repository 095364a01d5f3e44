"""Recent events: the archived events that the broker may deliver again, read back from the archives.

A message is delivered again if it was archived and its acknowledgement did not reach the broker. Only the newest events of a
generation can be in that state (`unsettled` finds it). The amount that is read has fixed limits, so that a start and a reconnect
are as fast after a year: EVENTS_MAX events, of which those of this instance come first, INSTANCES_MAX instances, and IDLE_S seconds.
Invariants: the returned events are durable, by a seal, by a watermark or by a sync made here. If, according to the ledger of an instance,
none of its events is delivered again, none of its archives is opened. Used by the writer thread alone.
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
from consumer.archive import log_events, naming
from consumer.archive.reading.catalog import all_batches
from consumer.archive.reading.reader import ArchiveReader, events_or_none, open_archive
from consumer.archive.watermark import durable_events, is_alive
from consumer.archive.writing.unsettled import END_OF_ARCHIVE, EVENTS_MAX, FIRST, EventPlace, Plan, end_of, plan
from consumer.disk.durable import Disk

INSTANCES_MAX = 32  # other instances that are read: those that were active last
IDLE_S = 7 * 86_400.0  # seconds; another instance that was not active for this time is not read

Archived = tuple[str, Event]  # the text form of a position, and the event there


@dataclass(frozen=True, slots=True)
class OwnArchives:
    """The knowledge of the archive log about its own archives.

    `committed`: path of the open archive, and how many events of it are durable. `waiting`: archives that wait for recovery, which are not read.
    `begins`: the places at which generations began, oldest first; the last one is that of the next event.
    """

    committed: tuple[Path, int] | None
    waiting: frozenset[Path]
    begins: tuple[EventPlace, ...] = ()


@dataclass
class _Instance:
    """The state of an instance, from the entries of the directory. No archive is opened for it."""

    touched_s: float = 0.0
    files: set[tuple[str, int, int, int]] = field(default_factory=set)  # name, inode, size and time of change


@dataclass
class _Seen:
    """Up to which event an instance was read. `pending`: it was running, so that its open archive was read up to the watermark only."""

    files: set[tuple[str, int, int, int]]
    upto: EventPlace
    pending: bool = False


class RecentEvents:
    """The recent events of a directory.

    `keep` stores the places at which the generations of this instance began, for later runs. `after`: events of its own archives up to this sequence are
    known as acknowledged.
    """

    def __init__(
        self, disk: Disk, directory: Path, instance: str, own: Callable[[], OwnArchives],
        keep: Callable[[tuple[EventPlace, ...]], None], after: int = 0, wall: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._disk, self._directory, self._instance = disk, directory, instance
        self._own, self._keep, self._after, self._wall = own, keep, after, wall
        self._seen: dict[str, _Seen] = {}

    def window(self) -> Iterator[Archived]:
        """All events that may be delivered again, oldest first within an instance. Call it when a generation begins, before it archives an event."""
        self._seen.clear()
        others = self._others()
        paths = _archives_of(self._directory, {self._instance, *others})
        after = (self._after, END_OF_ARCHIVE)
        own = plan(paths[self._instance], self._own().begins, self._durable_own, after)
        self._keep(own.begins)
        yield from _events(own, after)
        left = EVENTS_MAX - own.events
        for name, found in others.items():
            planned, since = self._plan_other(name, found, paths[name], left)
            left -= planned.events
            yield from _events(planned, since)

    def changed(self) -> Iterator[Archived]:
        """The new events of other instances that archived events, or ended, since the last call."""
        changed = {name: found for name, found in self._others().items() if self._has_changed(name, found)}
        if changed:
            paths = _archives_of(self._directory, set(changed))
            for name, found in changed.items():
                yield from _events(*self._plan_other(name, found, paths[name], EVENTS_MAX))

    def _others(self) -> dict[str, _Instance]:
        """The other instances that were active last."""
        found: defaultdict[str, _Instance] = defaultdict(_Instance)
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if (name := _instance_of(entry.name)) is not None and name != self._instance:
                        _note(found[name], entry)
        except OSError as error:
            log.emit(log_events.RECOVERY_DEFERRED, path=str(self._directory), reason=str(error))
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
            return True  # unknown: its open archive counts up to the watermark only

    def _plan_other(
        self, name: str, found: _Instance, paths: dict[int, Path], events_max: int
    ) -> tuple[Plan, EventPlace]:
        """The new batches of another instance, and the last event that was read before. None if its last run ended with everything acknowledged."""
        after = self._seen[name].upto if name in self._seen else FIRST
        state = ledgers.read(self._directory / f"{name}.ledger")
        if state is not None and not (state.running or state.unsettled):
            self._seen[name] = _Seen(found.files, max(after, (state.sequence, END_OF_ARCHIVE)))
            return Plan(), after
        pending = self._is_alive(name)
        planned = plan(paths, state.begins if state else (), self._durable, after, events_max)
        upto = max(after, planned.ranges[0].end) if planned.ranges else after
        self._seen[name] = _Seen(found.files, upto, pending)
        return planned, after

    def _durable(self, path: Path) -> int | None:
        try:
            return durable_events(self._disk, path)
        except FileNotFoundError:
            return None  # it was just sealed

    def _durable_own(self, path: Path) -> int | None:
        own = self._own()
        if own.committed is not None and path == own.committed[0]:
            return own.committed[1]
        if path in own.waiting:
            raise OSError(errno.EBUSY, "waits for recovery")
        return self._durable(path)


def _events(planned: Plan, after: EventPlace) -> Iterator[Archived]:
    """The events of the planned ranges that are later than `after`, oldest first, with their positions.

    By their numbers, and not where the plan has found them: an archive may have been repacked since.
    """
    for event_range in reversed(planned.ranges):
        try:
            with open_archive(event_range.path) as archive:
                for number, event in _between(
                    archive, event_range.batches[0].header.first_event, end_of(event_range.batches[-1])
                ):
                    if (event_range.sequence, number) > after:
                        yield f"{archive.id}:{number}", event
        except OSError as error:
            log.emit(log_events.RECOVERY_DEFERRED, path=str(event_range.path), reason=str(error))


def _between(archive: ArchiveReader, first: int, end: int) -> Iterator[tuple[int, Event]]:
    """The events with these numbers, as far as they can be read."""
    for batch in all_batches(archive):
        if first < end_of(batch) and batch.header.first_event < end:
            events = enumerate(events_or_none(archive, batch), batch.header.first_event)
            yield from ((number, event) for number, event in events if first <= number < end)


def _instance_of(name: str) -> str | None:
    """The instance of a ledger, a watermark or an open archive; None for other files."""
    instance, _, kind = name.rpartition(".")
    if kind in ("ledger", "committed"):
        return instance if naming.is_instance(instance) else None
    archive = naming.parse_open(Path(name))
    return archive.instance if archive else None


def _note(instance: _Instance, entry: "os.DirEntry[str]") -> None:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return  # it was just sealed or replaced
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
