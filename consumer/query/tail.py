"""The newest events, and what is archived after them: across rolls, instances that come and go, and directories that come late.

Role: one cursor an instance, which stands behind the last batch that was given out. Invariants: a batch is given out whole and only
when its checksum holds; the events of an instance come in the order of its archives; an archive is left behind only when its
end was read, or its owner is gone and the next one has begun.
"""

import heapq
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from codec.errors import CodecError
from codec.event import Event
from consumer.archive import naming
from consumer.archive.catalog import Wanted, look_up
from consumer.archive.durable import is_held
from consumer.archive.listing import find_archives
from consumer.archive.naming import ArchiveId
from consumer.archive.reader import ArchiveFile, Batch, Gap, Seal, open_archive
from consumer.archive.tombstones import Tombstones
from consumer.errors import DeedboxError
from consumer.query.query import Query
from consumer.query.search import Found, read_events
from consumer.watch.backends import Backend

SEARCH_S = 2.0  # how often all directories are searched, for what no open archive announced


@dataclass
class _Cursor:
    """Where an instance has been read up to; without an archive when that was read to its seal."""

    archive: ArchiveFile | None
    id: ArchiveId
    offset: int


_Stream = tuple[int, str]  # an instance, below one of the paths


class Tail:
    """`newest` first, then `read` again and again. `faults` are what could not be read, until they are taken."""

    def __init__(self, paths: Sequence[Path], query: Query | None = None) -> None:
        self.faults: list[str] = []
        self._paths, self._query = [path.absolute() for path in paths], query or Query()
        self._cursors: dict[_Stream, _Cursor] = {}
        self._known: dict[_Stream, dict[int, Path]] = {}
        self._searched = 0.0

    def newest(self, count: int) -> list[Found]:
        """The last events there are, by time; `read` goes on behind exactly these archives' ends."""
        self._find(everywhere=True)
        heap: list[tuple[int, int, Found]] = []
        serial = 0
        for stream, archives in self._known.items():
            for found in self._last_of(stream, archives, count):
                serial += 1
                heapq.heappush(heap, (found.event.time_us, serial, found))
                if len(heap) > count:
                    heapq.heappop(heap)
        return [found for _, _, found in sorted(heap, key=lambda item: item[:2])]

    def _last_of(self, stream: _Stream, archives: dict[int, Path], count: int) -> list[Found]:
        """The last events of an instance that are wanted, in order; sets its cursor to where its newest archive ends."""
        events: list[Found] = []
        for sequence in sorted(archives, reverse=True):
            try:
                entry = look_up(archives[sequence], Wanted())
            except (OSError, DeedboxError) as error:
                self.faults.append(f"{archives[sequence]}: {error}")
                continue
            if not entry.path.name.endswith(naming.OPEN_SUFFIX):
                self.faults += entry.faults  # the end of an open one is on its way, or was never whole
            if stream not in self._cursors:
                last = entry.batches[-1] if entry.batches else None
                self._open(stream, sequence, last.offset + last.size if last else 0)
            for batch in reversed(entry.batches):
                if len(events) >= count:
                    return events[-count:] if count else []
                events[:0] = self._events(entry.path, entry.id, batch, entry.tombstones)
        return events[-count:] if count else []

    def read(self) -> Iterator[Found]:
        """What was archived since, in the order of each instance."""
        self._find(everywhere=monotonic() - self._searched > SEARCH_S)
        for stream in sorted(self._known):
            try:
                yield from self._read(stream)
            except (OSError, DeedboxError) as error:
                self.faults.append(str(error))

    def _find(self, everywhere: bool) -> None:
        """Learn of archives: open ones in the directories themselves, all of them when it is time to search everywhere."""
        if everywhere:
            self._searched = monotonic()
        for number, place in enumerate(self._paths):
            if everywhere:
                found = find_archives([place]) if place.exists() else []
            else:
                found = list(place.glob(f"*{naming.OPEN_SUFFIX}")) if place.is_dir() else []
            for path in found:
                if (id := naming.parse_sealed(path) or naming.parse_open(path)) is not None:
                    self._known.setdefault((number, id.instance), {})[id.sequence] = path

    def _read(self, stream: _Stream) -> Iterator[Found]:
        if stream not in self._cursors and not self._open(stream, min(self._known[stream]), 0):
            return
        while True:
            cursor = self._cursors[stream]
            if cursor.archive is not None:
                ended = yield from self._read_archive(stream, cursor, cursor.archive)
                if not ended and not self._left_behind(stream, cursor, cursor.archive):
                    return
                cursor.archive.close()
                cursor.archive = None
            if not self._advance(stream, cursor):
                return

    def _read_archive(self, stream: _Stream, cursor: _Cursor, archive: ArchiveFile) -> Generator[Found, None, bool]:
        """The events of whole batches behind the cursor; True when the seal was read."""
        archive.refresh()
        while cursor.offset < archive.size:
            if not cursor.offset and not self._begin(cursor, archive):
                return False
            part = archive.part(cursor.offset)
            if isinstance(part, Seal):
                return True
            if isinstance(part, Gap):
                if part.kind == "torn" or _is_live(archive):
                    return False  # its last bytes are on their way, or were never whole
                self.faults.append(f"{archive.path}: at {part.offset}: {part.kind}, {part.size} bytes: {part.reason}")
            else:
                yield from self._events_of(stream, cursor, archive, part)
            cursor.offset += part.size
        return False

    def _begin(self, cursor: _Cursor, archive: ArchiveFile) -> bool:
        """Stand behind the head; behind a damaged one when nobody writes it any more."""
        if archive.head_raw or archive.retry_head():
            cursor.offset = len(archive.head_raw)
        elif not _is_live(archive):
            gap = archive.damaged_head()
            self.faults.append(f"{archive.path}: at 0: {gap.kind}, {gap.size} bytes: {gap.reason}")
            cursor.offset = gap.size
        return cursor.offset > 0

    def _left_behind(self, stream: _Stream, cursor: _Cursor, archive: ArchiveFile) -> bool:
        """Whether nothing more can come: the owner is gone, the next archive has begun, and this one was read to its end."""
        following = [number for number in self._known[stream] if number > cursor.id.sequence]
        if not following or _is_live(archive):
            return False
        size = archive.size
        archive.refresh()
        return archive.size == size

    def _advance(self, stream: _Stream, cursor: _Cursor) -> bool:
        """Go to the next archive of the instance, if it is known."""
        known = self._known[stream]
        following = [number for number in known if number > cursor.id.sequence]
        if not following:
            return False
        if min(following) > cursor.id.sequence + 1:
            self._find(everywhere=True)  # one between was opened and sealed while nobody looked
        for number in sorted(number for number in known if number > cursor.id.sequence):
            if self._open(stream, number, 0):
                return True
            self._find(everywhere=True)
            if self._open(stream, number, 0):
                return True
            self.faults.append(f"{known.pop(number)}: gone before it was read")
        return False

    def _open(self, stream: _Stream, sequence: int, offset: int) -> bool:
        try:
            archive = open_archive(self._known[stream][sequence])
        except FileNotFoundError:
            return False  # sealed this moment, or removed
        self._cursors[stream] = _Cursor(archive, ArchiveId(stream[1], sequence), offset)
        return True

    def _tombstones(self, stream: _Stream, cursor: _Cursor, archive: ArchiveFile) -> Tombstones:
        """Those of an archive that may have been sealed, and with that moved, since it was opened."""
        if not archive.path.exists():
            self._find(everywhere=True)
        return Tombstones.of(archive, self._known[stream].get(cursor.id.sequence))

    def _events_of(self, stream: _Stream, cursor: _Cursor, archive: ArchiveFile, batch: Batch) -> Iterator[Found]:
        try:
            events = batch.events()
        except CodecError as error:
            self.faults.append(f"{archive.path}: at {batch.offset}: batch {batch.header.number}: {error}")
            return
        for number, event in self._tombstones(stream, cursor, archive).kept(batch.header, events):
            if self._accepts(event, f"{cursor.id}:{number}"):
                yield Found(event, f"{cursor.id}:{number}")

    def _events(self, path: Path, name: str, batch: Batch, tombstones: Tombstones) -> list[Found]:
        events, fault = read_events(path, batch, tombstones, Query())
        if fault:
            self.faults.append(fault)
        found = [Found(event, f"{name}:{number}") for number, event in events]
        return [one for one in found if self._accepts(one.event, one.position)]

    def _accepts(self, event: Event, position: str) -> bool:
        """Whether an event is wanted. A time-out of the expression is a fault of this event; the next one is read all the same."""
        try:
            return self._query.accepts(event)
        except DeedboxError as error:
            self.faults.append(f"{position}: {error}")
            return False

    def wait(self, backend: Backend, timeout_s: float) -> None:
        """Until something may have been archived. Directories that are not there yet are waited for by their parents."""
        places = {path if path.is_dir() else path.parent for path in self._paths}
        try:
            fresh = backend.arm({place for place in places if place.is_dir()})
        except OSError:
            fresh = False  # no more watches to be had: it is looked at after the timeout
        if not fresh:
            backend.dirty(timeout_s)

    def close(self) -> None:
        """Close the archives."""
        for cursor in self._cursors.values():
            if cursor.archive is not None:
                cursor.archive.close()
        self._cursors.clear()


def _is_live(archive: ArchiveFile) -> bool:
    """Whether somebody still writes it; asked of the open file, because its name may have changed."""
    try:
        return is_held(archive.path) if archive.path.exists() else False
    except OSError:
        return False
