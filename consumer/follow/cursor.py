"""How far an instance has been read: a cursor in one archive, which gives out the events of whole batches that came since.

Invariants: a batch is given out only when its checksum holds; an event is given out once, also if its reader stopped in
mid-batch; a byte offset is only where the next event was last seen, and the number of the next event is the truth.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from codec.errors import CodecError
from codec.event import Event
from codec.gap import Gap, GapKind
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.reader import ArchiveFile, Batch, Seal
from consumer.archive.reading.tombstones import LiveTombstones, head_of
from consumer.disk.durable import is_held


class Cursor:
    """A place between two events of an archive. `ended`: the seal was read, and nothing more can come."""

    def __init__(self, archive: ArchiveFile, id: ArchiveId) -> None:
        self.id, self.path = id, archive.path
        self.head, self.file = head_of(archive), archive.file
        self.created_us = archive.head.created_us if archive.head else 0
        self.next_event = 0
        self.ended = False
        self._archive: ArchiveFile | None = archive
        self._offset = 0
        self._sought = False
        self._tombstones = LiveTombstones(archive)

    def skip(self, batches: list[Batch]) -> None:
        """Go to the end of these batches, which are all there are."""
        if batches:
            last = batches[-1]
            self._offset = last.offset + last.size
            self.next_event = last.header.first_event + last.header.events

    def end(self) -> None:
        """Read nothing more of the archive, and close it."""
        self.ended = True
        self.close()

    def close(self) -> None:
        """Close the archive."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None

    def read(self, faults: list[str], look: Callable[[bool], None]) -> Iterator[tuple[int, Event]]:
        """Number and event of what is there after the cursor. Raises OSError, and DeedboxError for damaged tombstones.

        `look(everywhere)` looks for archives, for the case that this one has another name now.
        """
        archive = self._archive
        if archive is None:
            return
        archive.refresh()
        while self._offset < archive.size:
            if not self._offset and not self._begin(archive, faults):
                return
            part = archive.part(self._offset)
            if isinstance(part, Seal):
                self.end()
                return
            if isinstance(part, Gap):
                if part.kind is GapKind.TORN or self.is_live():
                    return  # its last bytes are on their way, or were never whole
                faults.append(_shown(self.path, part))
            else:
                if not self.path.exists():
                    look(not self._sought)  # everywhere, but once only: it may have been removed
                    self._sought = True
                yield from self._events(archive, part, faults)
            self._offset += part.size

    def _begin(self, archive: ArchiveFile, faults: list[str]) -> bool:
        """Go past the head; past a damaged one when it is not written any more."""
        if archive.head_raw or archive.retry_head():
            self._offset = len(archive.head_raw)
            self.head = head_of(archive)
            self.created_us = archive.head.created_us if archive.head else 0
        elif not self.is_live():
            gap = archive.damaged_head()
            faults.append(_shown(self.path, gap))
            self._offset = gap.size
        return self._offset > 0

    def _events(self, archive: ArchiveFile, batch: Batch, faults: list[str]) -> Iterator[tuple[int, Event]]:
        try:
            events = batch.events()
        except CodecError as error:
            faults.append(f"{archive.path}: at {batch.offset}: batch {batch.header.number}: {error}")
            return
        for number, event in self._tombstones.at(self.path).kept(batch.header, events):
            if number >= self.next_event:
                self.next_event = number + 1
                yield number, event
        self.next_event = batch.header.first_event + batch.header.events

    def is_finished(self) -> bool:
        """Whether nothing more can come although there is no seal: its writer is gone, and it was read to its end.

        Ask only when the next archive of the instance has begun.
        """
        archive = self._archive
        if archive is None:
            return True
        size = archive.size
        if self.is_live():
            return False
        archive.refresh()
        return archive.size == size

    def is_live(self) -> bool:
        """Whether a process still writes the archive. A name that is gone was sealed or removed, and its writer has ended."""
        try:
            return is_held(self.path)
        except OSError:
            return False


def _shown(path: Path, gap: Gap) -> str:
    return f"{path}: at {gap.offset}: {gap}"
