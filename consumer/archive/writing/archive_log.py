"""All archives of one instance: open one for the first batch, append, roll, and continue in a new file after a failure.

Synchronous; used by one thread. Invariants: a batch is durable when `append` returns, in exactly one archive that will
be sealed. The bytes that a failed archive holds after its last sync are cut off when it is recovered.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from codec.archive import Head
from codec.counted import counted
from codec.event import Event
from codec.watermark import Watermark
from consumer import log
from consumer.archive import log_events
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger
from consumer.archive.naming import ArchiveId
from consumer.archive.watermark import publish_watermark, watermark_path
from consumer.archive.writing import orphans
from consumer.archive.writing.abandoned import AbandonedArchives
from consumer.archive.writing.finding import Abandoned
from consumer.archive.writing.recent_events import OwnArchives
from consumer.archive.writing.rolling import Fill, RollPolicy, RollReason, roll_reason
from consumer.archive.writing.sealing import Sealed
from consumer.archive.writing.storage_faults import storage_fault
from consumer.archive.writing.unsettled import EventPlace
from consumer.archive.writing.writer import ArchiveWriter, Receipt
from consumer.disk.durable import Disk
from consumer.disk.probe import PROBE_BYTES, probe
from consumer.errors import StorageFault, StorageReason


@dataclass(frozen=True, slots=True)
class ArchiveLogSettings:
    """`window`: how many events may be unacknowledged at the broker at one time, and so may be delivered again after an unclean end.

    `free_bytes_min`: nothing is written if the disk has less free space.
    """

    instance: str
    layout: Layout
    policy: RollPolicy
    window: int
    free_bytes_min: int = 0


@dataclass(frozen=True, slots=True)
class ArchiveLogSnapshot:
    """The state of the log for other threads: the open archive and its fill, if there is one, and why the last one was sealed."""

    archive: ArchiveId | None
    fill: Fill | None
    last_roll: RollReason | None


@dataclass
class ArchiveLog:
    """The archives of one instance. The caller holds the lock of the instance.

    `guard` raises Fatal if the lock is lost; `on_sealed` is called for each sealed archive, on the thread that uses the log.
    """

    disk: Disk
    settings: ArchiveLogSettings
    ledger: Ledger
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    boot_id: str = ""
    on_sealed: Callable[[Path], None] = lambda _path: None
    guard: Callable[[], None] = lambda: None
    last_roll: RollReason | None = None
    writer: ArchiveWriter | None = None

    def __post_init__(self) -> None:
        layout = self.settings.layout
        self._abandoned = AbandonedArchives(self.disk, layout, self._now, self._note_sealed)

    def _now(self) -> float:
        return self.clock()

    def append(self, events: Sequence[Event]) -> Receipt:
        """Make the events durable. Raises StorageFault when neither the open archive nor a new one accepts them."""
        try:
            return self._append_once(events)
        except StorageFault as fault:
            if fault.reason is StorageReason.DISK_LOW:
                raise
            size = fault.size
        # Nothing more is written to an archive that failed: the batch is written again, in a new archive.
        try:
            return self._append_once(events)
        except StorageFault as fault:
            fault.size = max(fault.size, size)  # also if the new file could not be created
            self._abandoned.not_before_s = 0.0  # when the disk accepts data again, recovery may succeed too
            raise

    def _append_once(self, events: Sequence[Event]) -> Receipt:
        if reason := self.due():
            self.roll(reason)
        if self._abandoned.are_due:
            self.recover_abandoned()
        self._check_space()
        writer = self.writer or self._open()
        try:
            receipt = writer.append(events)
        except StorageFault as fault:
            self._abandon(writer, fault)
            raise
        except Exception as error:
            if writer.in_hand:  # a defect in the middle: the file may hold a batch that the index does not
                self._abandon(writer, StorageFault(StorageReason.DEFECT, repr(error)))
            raise
        self._publish(writer)
        if writer.fill.batches == 1 or self.ledger.unwritten:
            # Before the acknowledgement: otherwise the loss of this whole archive would not be noticed.
            self._note(lambda: self.ledger.note_committed(writer.id.sequence))
        return receipt

    def _publish(self, writer: ArchiveWriter) -> None:
        """Publish the watermark for other processes. The batch is durable already; an old watermark only counts fewer events."""
        layout, instance = self.settings.layout.directory, self.settings.instance
        mark = Watermark(writer.id.sequence, writer.fill.events, writer.committed)
        try:
            publish_watermark(self.disk, layout, instance, mark)
        except OSError as error:
            log.emit(log_events.WATERMARK_FAILED, path=str(watermark_path(layout, instance)), reason=str(error))

    def _check_space(self, size: int = 0) -> None:
        """Raises StorageFault if less than `archive.free_bytes_min` would be free after `size` bytes are written."""
        directory = self.settings.layout.directory
        try:
            free = self.disk.free_bytes(directory)
        except OSError as error:
            raise storage_fault(error, directory) from error
        if free - size < self.settings.free_bytes_min:
            wanted = f", {size} bytes are to be written" if size else ""
            what = f"{directory}: {counted(free, 'byte')} free{wanted}, archive.free_bytes_min is {self.settings.free_bytes_min}"
            raise StorageFault(StorageReason.DISK_LOW, what, "free space", size)

    def _open(self) -> ArchiveWriter:
        self.guard()
        self.recover_abandoned()
        state = self.ledger.state
        # The sequence is used up even if the attempt fails: whatever exists under this name would be in the way again.
        head = Head(
            self.settings.instance, self.ledger.next_sequence(), int(self.wall() * 1_000_000), self.boot_id,
            window=self.settings.window, previous=state.previous, predecessor=state.committed,
        )  # fmt: skip
        self.writer = ArchiveWriter(self.disk, self.settings.layout, head, self.clock, self.wall)
        log.emit(log_events.ARCHIVE_OPENED, archive=str(self.writer.id))
        return self.writer

    def _abandon(self, writer: ArchiveWriter, fault: StorageFault) -> None:
        self.writer = None
        self._abandoned.add(Abandoned(writer.path, writer.committed, writer.file, writer.fill.events))
        if writer.fill.events:
            self._note(lambda: self.ledger.note_abandoned(writer.id.sequence, writer.fill.events))
        else:
            self._note(
                self.ledger.update
            )  # recovery removes an archive without events, and its sequence must not be used again
        writer.abandon()
        log.emit(log_events.ARCHIVE_ABANDONED, archive=str(writer.id), reason=fault.reason, detail=fault.what)

    def recover_abandoned(self) -> None:
        """Recover the archives that failed in this run, as far as the disk allows. The others stay for later."""
        if self.ledger.unwritten:
            self._note(self.ledger.update)
        self._abandoned.recover()

    def adopt(self, path: Path) -> None:
        """Keep an archive of an earlier run for recovery: it could not be recovered at the start."""
        self._abandoned.add(orphans.known_from_ledger(path, self.ledger))

    def due(self) -> RollReason | None:
        """Why the open archive must be sealed now; None if it must not."""
        if self.writer is None:
            return None
        return roll_reason(self.settings.policy, self.writer.fill, self.clock(), self.wall())

    def snapshot(self) -> ArchiveLogSnapshot:
        """The state of the log, for other threads."""
        writer = self.writer
        return (
            ArchiveLogSnapshot(writer.id, writer.fill, self.last_roll)
            if writer
            else ArchiveLogSnapshot(None, None, self.last_roll)
        )

    def roll(self, reason: RollReason) -> None:
        """Seal the open archive, if there is one. A failure is logged, and the archive is recovered later: its batches are durable."""
        writer, self.writer = self.writer, None
        if writer is None:
            return
        try:
            if not writer.fill.batches:
                self._note(self.ledger.update)  # its sequence must not be used again
                writer.discard()
                return
            sealed = writer.seal()
        except StorageFault as fault:
            self._abandon(writer, fault)
            return
        self.last_roll = reason
        self._note_sealed(sealed)
        for directory in self.disk.unsynced:
            log.emit(log_events.DIRECTORY_UNSYNCED, path=str(directory), archive=str(sealed.archive))
        log.emit(
            log_events.ARCHIVE_SEALED,
            archive=str(sealed.archive),
            path=str(sealed.path),
            events=sealed.events,
            bytes=sealed.bytes,
            reason=str(reason),
        )

    def own(self) -> OwnArchives:
        """The durable events of this instance, and the begins of its generations."""
        committed = (self.writer.path, self.writer.fill.events) if self.writer else None
        begins = (*self.ledger.state.begins, self._next_place())
        return OwnArchives(committed, self._abandoned.paths, begins)

    def _next_place(self) -> EventPlace:
        """The earliest place of the next event. All archived events are before it."""
        writer = self.writer
        return (writer.id.sequence, writer.fill.events) if writer else (self.ledger.state.sequence + 1, 0)

    def keep_begins(self, begins: tuple[EventPlace, ...]) -> None:
        """Note in the ledger, for later runs, where the generations began. If the disk refuses, the next commit tries again."""
        if begins != self.ledger.state.begins:
            self._note(lambda: self.ledger.update(begins=begins))

    def probe(self, size: int = 0) -> None:
        """Check that the disk accepts this number of bytes, or at least a small write. Raises StorageFault."""
        size = max(size, PROBE_BYTES)
        self._check_space(size)
        path = self.settings.layout.directory / f"{self.settings.instance}.probe"
        try:
            probe(self.disk, path, size)
        except OSError as error:
            raise storage_fault(error, path, size) from error
        self._abandoned.recover()

    def _note_sealed(self, sealed: Sealed) -> None:
        self.on_sealed(sealed.path)
        self._note(lambda: orphans.note_sealed(self.ledger, sealed))

    def _note(self, step: Callable[[], None]) -> None:
        """Update the ledger. An error is logged only: the next run finds the same facts in the archives."""
        try:
            step()
        except OSError as error:
            log.emit(log_events.RECOVERY_DEFERRED, path=str(self.ledger.path), reason=str(error))
