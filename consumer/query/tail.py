"""The newest events, and what is archived after them: across rolls, instances that come and go, and directories that come late.

Role: one cursor an instance, which stands behind the last batch that was given out. Invariants: a batch is given out whole and only
when its checksum holds; the events of an instance come in the order of its archives; an archive is left behind only when its
end was read, or its owner is gone and the next one has begun.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from codec.errors import CodecError
from consumer.archive import naming
from consumer.archive.catalog import Wanted, look_up
from consumer.archive.durable import is_held
from consumer.archive.naming import ArchiveId
from consumer.archive.reader import ArchiveFile, Batch, Gap, Seal, find_archives, open_archive
from consumer.archive.tombstones import Tombstones
from consumer.query.query import Query
from consumer.query.search import Found, read_events
from consumer.watch.backends import Backend

SEARCH_S = 2.0  # how often all directories are searched, for what no open archive announced


@dataclass
class _Cursor:
    """Where an instance has been read up to."""

    archive: ArchiveFile
    id: ArchiveId
    offset: int


class Tail:
    """`newest` first, then `read` again and again. `faults` are what could not be read, until they are taken."""

    def __init__(self, paths: Sequence[Path], query: Query | None = None) -> None:
        self.faults: list[str] = []
        self._paths, self._query = [path.absolute() for path in paths], query or Query()
        self._cursors: dict[str, _Cursor] = {}
        self._known: dict[str, dict[int, Path]] = {}
        self._searched = 0.0

    def newest(self, count: int) -> list[Found]:
        """The last events there are, by time; `read` goes on behind exactly these archives' ends."""
        self._find(everywhere=True)
        ends: dict[str, tuple[ArchiveId, int]] = {}
        heap: list[tuple[int, int, Found]] = []
        serial = 0
        for instance, archives in self._known.items():
            for found in self._last_of(instance, archives, count, ends):
                serial += 1
                heapq.heappush(heap, (found.event.time_us, serial, found))
                if len(heap) > count:
                    heapq.heappop(heap)
        for instance, (id, offset) in ends.items():
            self._open(instance, id.sequence, offset)
        return [found for _, _, found in sorted(heap, key=lambda item: item[:2])]

    def _last_of(
        self, instance: str, archives: dict[int, Path], count: int, ends: dict[str, tuple[ArchiveId, int]]
    ) -> list[Found]:
        """The last events of an instance that are wanted, in order; notes where its newest archive ends."""
        events: list[Found] = []
        for sequence in sorted(archives, reverse=True):
            try:
                entry = look_up(archives[sequence], Wanted())
            except OSError as error:
                self.faults.append(f"{archives[sequence]}: {error.strerror or error}")
                continue
            last = entry.batches[-1] if entry.batches else None
            if instance not in ends:
                ends[instance] = (ArchiveId(instance, sequence), last.offset + last.size if last else 0)
            for batch in reversed(entry.batches):
                if len(events) >= count:
                    return events[-count:] if count else []
                events[:0] = self._events(entry.path, entry.id, batch, entry.tombstones)
        return events[-count:] if count else []

    def read(self) -> Iterator[Found]:
        """What was archived since, in the order of each instance."""
        self._find(everywhere=monotonic() - self._searched > SEARCH_S)
        for instance in sorted(self._known):
            yield from self._read(instance)

    def _find(self, everywhere: bool) -> None:
        """Learn of archives: open ones in the directories themselves, all of them when it is time to search everywhere."""
        if everywhere:
            self._searched = monotonic()
            found = find_archives([path for path in self._paths if path.exists()])
        else:
            found = [path for place in self._paths if place.is_dir() for path in place.glob(f"*{naming.OPEN_SUFFIX}")]
        for path in found:
            id = naming.parse_sealed(path) or naming.parse_open(path)
            if id is not None:
                self._known.setdefault(id.instance, {}).setdefault(id.sequence, path)

    def _read(self, instance: str) -> Iterator[Found]:
        if instance not in self._cursors and not self._open(instance, min(self._known[instance]), 0):
            return
        while True:
            cursor = self._cursors[instance]
            ended = False
            for found in self._batches(cursor):
                if isinstance(found, Batch):
                    tombstones = Tombstones.of(cursor.archive.path, cursor.id)
                    yield from self._events_of(cursor, found, tombstones)
                else:
                    ended = True
            if not ended and not self._left_behind(cursor):
                return
            if not self._advance(cursor):
                return

    def _batches(self, cursor: _Cursor) -> Iterator[Batch | Seal]:
        """Whole batches behind the cursor, then the seal if there is one."""
        archive = cursor.archive
        archive.refresh()
        while cursor.offset < archive.size:
            if not archive.head_raw and not archive.retry_head():
                return
            cursor.offset = cursor.offset or len(archive.head_raw)
            part = archive.part(cursor.offset)
            if isinstance(part, Gap):
                if part.kind == "torn" or _is_live(archive):
                    return  # its last bytes are on their way, or were never whole
                self.faults.append(f"{archive.path}: at {part.offset}: {part.kind}, {part.size} bytes: {part.reason}")
                cursor.offset += part.size
                continue
            yield part
            if isinstance(part, Seal):
                return
            cursor.offset += part.size

    def _left_behind(self, cursor: _Cursor) -> bool:
        """Whether nothing more can come: the owner is gone, the next archive has begun, and this one was read to its end."""
        following = [number for number in self._known[cursor.id.instance] if number > cursor.id.sequence]
        if not following or _is_live(cursor.archive):
            return False
        size = cursor.archive.size
        cursor.archive.refresh()
        return cursor.archive.size == size

    def _advance(self, cursor: _Cursor) -> bool:
        """Go to the next archive of the instance, if it is known."""
        known = self._known[cursor.id.instance]
        following = [number for number in known if number > cursor.id.sequence]
        if not following:
            return False
        if min(following) > cursor.id.sequence + 1 and monotonic() != self._searched:
            self._find(everywhere=True)  # one between was opened and sealed while nobody looked
            following = [number for number in known if number > cursor.id.sequence]
        return self._open(cursor.id.instance, min(following), 0)

    def _open(self, instance: str, sequence: int, offset: int) -> bool:
        try:
            archive = open_archive(self._known[instance][sequence])
        except OSError:
            return False  # sealed this moment: the next search finds it under its name
        old = self._cursors.get(instance)
        self._cursors[instance] = _Cursor(archive, ArchiveId(instance, sequence), offset)
        if old is not None:
            old.archive.close()
        return True

    def _events_of(self, cursor: _Cursor, batch: Batch, tombstones: Tombstones) -> Iterator[Found]:
        try:
            events = batch.events()
        except CodecError as error:
            self.faults.append(f"{cursor.archive.path}: at {batch.offset}: batch {batch.header.number}: {error}")
            return
        for index, event in tombstones.kept(batch.header.number, events):
            if self._query.accepts(event):
                yield Found(event, f"{cursor.id}:{batch.header.number}:{index}")

    def _events(self, path: Path, name: str, batch: Batch, tombstones: Tombstones) -> list[Found]:
        events, fault = read_events(path, batch, tombstones, self._query)
        if fault:
            self.faults.append(fault)
        return [Found(event, f"{name}:{batch.header.number}:{index}") for index, event in events]

    def wait(self, backend: Backend, timeout_s: float) -> None:
        """Until something may have been archived. Directories that are not there yet are waited for by their parents."""
        places = {path if path.is_dir() else path.parent for path in self._paths}
        if not backend.arm({place for place in places if place.is_dir()}):
            backend.dirty(timeout_s)

    def close(self) -> None:
        """Close the archives."""
        for cursor in self._cursors.values():
            cursor.archive.close()
        self._cursors.clear()


def _is_live(archive: ArchiveFile) -> bool:
    """Whether somebody still writes it; asked of the open file, because its name may have changed."""
    try:
        return is_held(archive.path) if archive.path.exists() else False
    except OSError:
        return False
