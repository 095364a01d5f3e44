"""RecentEvents: the archived events that the broker may deliver again, read back from the archives.

A message comes again when it was archived and its acknowledgement did not reach the broker. Only the newest events of a generation
can be in that state (`unsettled` says which). What is read is bounded, so that a start and a reconnect cost the same after a year: in
events, by EVENTS_MAX, of which our own are taken first; in instances, by INSTANCES_MAX; in time, by IDLE_S.
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
from consumer.archive import log_events, naming
from consumer.archive.reading.catalog import all_batches
from consumer.archive.reading.reader import ArchiveReader, events_or_none, open_archive
from consumer.archive.watermark import durable_events, is_alive
from consumer.archive.writing.unsettled import END_OF_ARCHIVE, EVENTS_MAX, FIRST, EventPlace, Plan, end_of, plan
from consumer.disk.durable import Disk

INSTANCES_MAX = 32  # other instances, those that were active last
IDLE_S = 7 * 86_400.0  # another instance that was active before that is not read

Archived = tuple[str, Event]  # the text form of a position, and the event there


@dataclass(frozen=True, slots=True)
class OwnArchives:
    """What our archive_log says of the archives that it writes.

    `committed`: path of the open archive, and how many events of it are durable. `waiting`: archives that wait for recovery, and are not to be trusted.
    `begins`: the places at which generations began, oldest first; the last one is that of the next event.
    """

    committed: tuple[Path, int] | None
    waiting: frozenset[Path]
    begins: tuple[EventPlace, ...] = ()


@dataclass
class _Instance:
    """What the directory itself says of an instance, without opening an archive."""

    touched_s: float = 0.0
    files: set[tuple[str, int, int, int]] = field(default_factory=set)  # name, inode, size and time of change


@dataclass
class _Seen:
    """Up to where an instance was read. `pending`: it was alive, so that its open archive was read up to its watermark only."""

    files: set[tuple[str, int, int, int]]
    upto: EventPlace
    pending: bool = False


class RecentEvents:
    """The recent events of a directory.

    `keep`: keep the places at which our generations began, for later lives. `after`: events of our own archives up to this sequence are
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
        """All that may come again, oldest first within an instance. For the begin of a generation, before it archives anything."""
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
        """The same of other instances that archived something, or ended, since the last call; only what is new."""
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
            return True  # unknown, and then its open archive is trusted up to the watermark only

    def _plan_other(
        self, name: str, found: _Instance, paths: dict[int, Path], events_max: int
    ) -> tuple[Plan, EventPlace]:
        """What is new of another instance, and the last event that is not; nothing of one whose last life ended with everything acknowledged."""
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
            return None  # sealed this moment

    def _durable_own(self, path: Path) -> int | None:
        own = self._own()
        if own.committed is not None and path == own.committed[0]:
            return own.committed[1]
        if path in own.waiting:
            raise OSError(errno.EBUSY, "waits for recovery")
        return self._durable(path)


def _events(planned: Plan, after: EventPlace) -> Iterator[Archived]:
    """The events of planned stretches that come later than `after`, oldest first, with their positions.

    By their numbers, and not where the plan has found them: an archive may have been repacked since.
    """
    for stretch in reversed(planned.ranges):
        try:
            with open_archive(stretch.path) as archive:
                for number, event in _between(
                    archive, stretch.batches[0].header.first_event, end_of(stretch.batches[-1])
                ):
                    if (stretch.sequence, number) > after:
                        yield f"{archive.id}:{number}", event
        except OSError as error:
            log.emit(log_events.RECOVERY_DEFERRED, path=str(stretch.path), reason=str(error))


def _between(archive: ArchiveReader, first: int, end: int) -> Iterator[tuple[int, Event]]:
    """The events with these numbers, as far as they can be read."""
    for batch in all_batches(archive):
        if first < end_of(batch) and batch.header.first_event < end:
            events = enumerate(events_or_none(archive, batch), batch.header.first_event)
            yield from ((number, event) for number, event in events if first <= number < end)


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
