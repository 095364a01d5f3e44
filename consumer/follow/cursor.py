"""A cursor in one archive: how far it has been read, and the batches that follow.

Invariants: a batch is given only when its checksum holds and its sync has returned; each event is given once. The number of the
next event is what counts: the byte offset is only where that event was last seen, and it is found again if another file takes the place of the archive.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from codec.counted import counted
from codec.errors import CodecError
from codec.event import Event
from codec.gap import Gap, GapKind
from consumer.archive.ledger import read as read_ledger
from consumer.archive.listing import find_again
from consumer.archive.naming import ArchiveId, parse_open, parse_sealed
from consumer.archive.reading.catalog import all_batches
from consumer.archive.reading.fault import ReadFault, batch_fault
from consumer.archive.reading.found import Part
from consumer.archive.reading.reader import ArchiveFile, Seal, StoredBatch
from consumer.archive.reading.tombstones import LiveTombstones, head_of
from consumer.archive.watermark import durable_events
from consumer.disk.durable import Disk, is_held

Numbered = tuple[int, Event]
Report = Callable[[ReadFault], None]
RECOVERY_S = 10.0  # recovery takes less, unless the disk refuses it


class Stop(Enum):
    """Why reading stopped."""

    READ = auto()  # everything was read
    TORN = auto()
    NOT_DURABLE = auto()
    RENAMED = auto()  # another file took the place of the archive
    DAMAGED_LIVE = auto()  # its writer may still complete it


class Events(NamedTuple):
    """The events of one batch that were not given before. `last`: the last of them, `kept`: those that are not deleted."""

    last: Numbered
    kept: Sequence[Numbered]


class Cursor:
    """A place between two events of an archive. `ended`: the seal was read, and no event follows."""

    def __init__(self, archive: ArchiveFile, id: ArchiveId) -> None:
        self.id, self.path = id, archive.path
        self.next_event = 0
        self.ended = False
        self._disk = Disk()
        self._durable = 0.0  # how many events of an open archive are known to be durable
        self._looked_everywhere = False
        self._waits_since: float | None = None
        self._torn: Gap | None = None
        self._gap_reported = False  # the events before the next batch are known to be missing
        self._stop, self._size = Stop.READ, 0  # why the last `read` ended, and the size of the file that it saw
        self.is_whole = True  # if it has ended, all was read that it held; False: it was gone or cut off before
        self._set_file(archive)

    def _set_file(self, archive: ArchiveFile) -> None:
        self.file = archive.file
        self._read_head(archive)
        self._archive: ArchiveFile | None = archive
        self._offset = 0
        self._tombstones = LiveTombstones(archive)

    def _read_head(self, archive: ArchiveFile) -> None:
        self.head = head_of(archive)
        self.created_us = archive.head.created_us if archive.head else 0
        self.predecessor = (
            archive.head.predecessor if archive.head else 0
        )  # the last archive before this one that holds events

    def skip_to(self, next_event: int, batches: Sequence[StoredBatch]) -> None:
        """Go on with this event. `batches`: all batches of the archive, or those up to the event."""
        self.next_event = next_event
        for batch in batches:
            if batch.header.first_event + batch.header.events > next_event:
                return
            self._offset = batch.offset + batch.size

    def skip_durable(self, batches: Sequence[StoredBatch]) -> int:
        """Go to the end of these batches, as far as they are durable. Return their number."""
        for count, batch in enumerate(batches):
            if not self._is_durable(batch):
                return count
            self.next_event = batch.header.first_event + batch.header.events
            self._offset = batch.offset + batch.size
        return len(batches)

    def rename(self, path: Path) -> None:
        """The archive has this path now. If it is another file, because recovery wrote it again, continue in that file. Raises OSError."""
        fresh = ArchiveFile(path)
        self.path = path
        if fresh.file == self.file or self._archive is None:
            fresh.close()
            return
        self.close()
        self._set_file(fresh)
        self.skip_to(self.next_event, all_batches(fresh))

    def end(self) -> None:
        """Read no more of the archive, and close it."""
        self.ended = True
        self.close()

    def close(self) -> None:
        """Close the archive."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None

    def read(self, report: Report, look: Callable[[bool], None]) -> Iterator[Events]:
        """The events after the cursor, batch by batch, as far as they are durable.

        `look(everywhere)` looks for archives, for the case that this one has another name now. Raises OSError, and DeedboxError for
        tombstones that cannot be read.
        """
        if self._archive is None:
            return
        self._archive.refresh()
        self._size = self._archive.size
        self._stop = Stop.READ
        while (archive := self._archive) is not None and self._offset < self._size:
            if not self._offset and not self._begin(archive, report):
                return
            part = self._next_part(archive, look)
            if part is None:
                return
            if isinstance(part, Seal):
                self.end()
            elif isinstance(part, Gap):
                report(ReadFault(self.path, part.offset, str(part)))
                self._offset += part.size
                self._gap_reported = True
            else:
                events = self._events(part, report)
                self._offset += part.size
                if events is not None:
                    yield events

    def _next_part(self, archive: ArchiveFile, look: Callable[[bool], None]) -> Part | None:
        """The part after the cursor; None if it cannot be read yet, and `_stop` is the reason.

        The bytes of a batch are read after its durability is known: a batch whose sync failed is cut off.
        """
        part = archive.part(self._offset, frames=parse_open(self.path) is None)
        if isinstance(part, StoredBatch) and part.frame is None:
            self.find_renamed(look)
            if archive is not self._archive:
                self._stop = Stop.RENAMED
            elif not self._is_durable(part):
                self._stop = Stop.NOT_DURABLE
            else:
                part = archive.part(self._offset)
        if isinstance(part, Gap) and self._stop is Stop.READ:
            if part.kind is GapKind.TORN:
                self._stop = Stop.TORN  # its last bytes are on their way, or were never whole
                self._torn = part
            elif self.is_live():
                self._stop = Stop.DAMAGED_LIVE
        return part if self._stop is Stop.READ else None

    def find_renamed(self, look: Callable[[bool], None]) -> None:
        """Go on under the new name if the archive was renamed. `look(everywhere)` looks for archives."""
        if self.path.exists():
            return
        look(not self._looked_everywhere)  # everywhere only once: it may have been removed
        self._looked_everywhere = True
        if not self.path.exists():  # the user named the archive, and not its directory
            self._find_sealed()

    def _find_sealed(self) -> bool:
        """Whether the open archive was sealed, and has another name since: the cursor continues there. Raises OSError."""
        sealed = [path for path in find_again(self.path) if parse_sealed(path)] if parse_open(self.path) else []
        if sealed:
            self.rename(sealed[0])
        return bool(sealed)

    def _is_durable(self, batch: StoredBatch) -> bool:
        """Whether the sync of a batch has returned. A sealed archive was synced as a whole."""
        end = batch.header.first_event + batch.header.events
        if parse_open(self.path) is None or end <= self._durable:
            return True
        self._durable = max(self._durable, self._ask_durable(end))
        return end <= self._durable

    def _ask_durable(self, end: int) -> float:
        """How many events of the open archive are durable. If it is fewer than `end`, the ledger may count more, of an archive that was given up."""
        path = self.path.resolve()  # a link: the lock and the watermark are in the directory of the archive
        if parse_open(path) is None:
            return float("inf")
        try:
            durable = durable_events(self._disk, path)
        except FileNotFoundError:
            return 0  # sealed or removed at this moment: the next look finds which
        if durable is None:
            return float("inf")
        state = read_ledger(path.parent / f"{self.id.instance}.ledger") if durable < end else None
        return max(state.committed_events(self.id.sequence) if state else 0, durable)

    def _begin(self, archive: ArchiveFile, report: Report) -> bool:
        """Go past the head; past a damaged one if no process writes the archive."""
        if archive.head_raw or archive.retry_head():
            self._offset = len(archive.head_raw)
            self._read_head(archive)
        elif not self.is_live():
            gap = archive.damaged_head()
            if gap.kind is GapKind.TORN and parse_open(self.path):
                self._stop = Stop.TORN  # a kill while the head was written: nothing of it was acknowledged
                return False
            report(ReadFault(self.path, gap.offset, str(gap)))
            self._offset = gap.size
        if not self._offset:
            self._stop = Stop.TORN
        return self._offset > 0

    def _events(self, batch: StoredBatch, report: Report) -> Events | None:
        try:
            events = batch.events()
        except CodecError as error:
            report(batch_fault(self.path, batch, error))
            self._gap_reported = True
            return None
        self._report_missing(batch, report)
        kept = self._tombstones.at(self.path).kept(batch.header, events)
        fresh = [one for one in kept if one[0] >= self.next_event]
        end = batch.header.first_event + batch.header.events
        if end <= self.next_event:
            return None
        self.next_event = end
        return Events((end - 1, events[-1]), fresh)

    def _report_missing(self, batch: StoredBatch, report: Report) -> None:
        """Report if events before the batch are missing, as in an archive that was repaired."""
        missing = batch.header.first_event - self.next_event
        if missing > 0 and not self._gap_reported:
            reason = f"{counted(missing, 'event')} missing before event {batch.header.first_event}"
            report(ReadFault(self.path, batch.offset, reason))
        self._gap_reported = False

    def end_if_finished(self, report: Report, now_s: float, patience_s: float, waits_for_errors: bool) -> None:
        """End if no event follows although there is no seal: the writer has ended, and all was read that is durable.

        Call only when the next archive of the instance has begun. If the writer gave up the archive after a failed sync, its recovery decides whether
        the last batch stays. If it stays, a copy in a later archive may be marked as its duplicate, so the cursor waits for the recovery, and reports
        it after `patience_s`. `now_s`: a monotonic time.
        `waits_for_errors`: do not leave a sealed archive whose end is cut off.
        """
        archive = self._archive
        if archive is None:
            self.ended = True
            return
        if self.is_live() or self._stop in (Stop.RENAMED, Stop.DAMAGED_LIVE):
            return
        archive.refresh()
        if archive.size != self._size:
            return
        if self._stop is Stop.TORN and parse_open(self.path) is None:
            report(ReadFault(self.path, self._offset, "the end of the archive is cut off"))
            if waits_for_errors:
                return
            self.is_whole = False
        elif self._stop is Stop.TORN and self._torn is not None and not self._torn.harmless:
            report(ReadFault(self.path, self._torn.offset, str(self._torn)))
        if self._stop is Stop.NOT_DURABLE:
            if self.path.exists() or self._find_sealed():
                self._report_wait(report, now_s, patience_s)
                return
            self.is_whole = False
        self.end()

    def _report_wait(self, report: Report, now_s: float, patience_s: float) -> None:
        self._waits_since = now_s if self._waits_since is None else self._waits_since
        if now_s - self._waits_since >= patience_s:
            report(ReadFault(self.path, None, "its recovery is awaited: its last batches may not be durable"))

    def is_gone(self) -> bool:
        """Whether the file was removed before any event of it was given. Raises OSError."""
        return self.next_event == 0 and not self.path.exists() and not self._find_sealed()

    def is_live(self) -> bool:
        """Whether a process still writes the archive. If its name is gone, it was sealed or removed, and its writer has ended."""
        try:
            return is_held(self.path.resolve())
        except OSError:
            return False
