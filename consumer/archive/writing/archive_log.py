"""All archives of one instance: open on the first batch, append, roll, and go on in a new file after a failure.

Synchronous, used by one thread. Invariant: a batch is durable when `append` returns, in exactly one archive that will
be sealed; what a failed archive held beyond its last sync is cut off when it is recovered.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from codec.archive import Head
from codec.event import Event
from codec.gap import GapKind
from codec.watermark import Watermark
from consumer import log
from consumer.archive import log_events
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger
from consumer.archive.listing import find_again
from consumer.archive.naming import OPEN_SUFFIX, ArchiveId
from consumer.archive.watermark import publish_watermark, watermark_path
from consumer.archive.writing import orphans, recovery
from consumer.archive.writing.recent_events import OwnArchives
from consumer.archive.writing.rolling import Fill, RollPolicy, roll_reason
from consumer.archive.writing.unsettled import EventPlace
from consumer.archive.writing.writer import ArchiveWriter, Receipt, Sealed, storage_fault
from consumer.disk.durable import Disk
from consumer.disk.probe import PROBE_BYTES, probe
from consumer.errors import StorageFault

RECOVERY_SHARE = 0.1  # of the time, at most, goes into recoveries that fail again and again
QUICK_S = 0.1  # a shorter one may be tried again at any time


@dataclass(frozen=True, slots=True)
class ArchiveLogSettings:
    """`window`: how many events the broker may hold as unacknowledged; the newest events of each generation, up to this number, are compared with what comes again."""

    instance: str
    layout: Layout
    policy: RollPolicy
    window: int
    free_bytes_min: int = 0


@dataclass(frozen=True, slots=True)
class ArchiveLogSnapshot:
    """The open archive and its fill, if there is one, and why the last one was sealed."""

    archive: ArchiveId | None
    fill: Fill | None
    last_roll: str


@dataclass
class ArchiveLog:
    """The archives of one instance. The caller holds the instance's lock; `guard` raises Fatal if it has lost it."""

    disk: Disk
    settings: ArchiveLogSettings
    ledger: Ledger
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    boot_id: str = ""
    on_sealed: Callable[[Path], None] = lambda _path: (
        None
    )  # told of each archive that was sealed, on the archive_log's thread
    guard: Callable[[], None] = lambda: None
    last_roll: str = ""
    writer: ArchiveWriter | None = None
    _abandoned: list[recovery.Abandoned] = field(default_factory=list)
    _recover_at: float = 0.0

    def append(self, events: Sequence[Event]) -> Receipt:
        """Make the events durable. Raises StorageFault when neither the open archive nor a new one takes them."""
        try:
            return self._append_once(events)
        except StorageFault as fault:
            if fault.reason == "disk_low":
                raise
            size = fault.size
        # An archive that failed is final: the batch is written again, in a new one.
        try:
            return self._append_once(events)
        except StorageFault as fault:
            fault.size = max(fault.size, size)  # also if not even the new file could be made
            self._recover_at = 0.0  # when the disk takes data again, it may take these too
            raise

    def _append_once(self, events: Sequence[Event]) -> Receipt:
        if reason := self.due():
            self.roll(reason)
        if 0 < self._recover_at <= self.clock():  # those that could not be tried when the last archive was opened
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
                self._abandon(writer, StorageFault("defect", repr(error)))
            raise
        self._publish(writer)
        if writer.fill.batches == 1 or self.ledger.behind:
            # Before the acknowledgement: else the loss of this whole archive would not be noticed.
            self._note(lambda: self.ledger.note_committed(writer.id.sequence))
        return receipt

    def _publish(self, writer: ArchiveWriter) -> None:
        """Tell other processes of the batch. It is durable already: a watermark that stays behind says too little only."""
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
            what = f"{directory}: {free} bytes free{wanted}, archive.free_bytes_min is {self.settings.free_bytes_min}"
            raise StorageFault("disk_low", what, "free space", size)

    def _open(self) -> ArchiveWriter:
        self.guard()
        self.recover_abandoned()
        state = self.ledger.state
        # Taken before the attempt, because whatever is in the way of this name would be in the way again.
        head = Head(
            self.settings.instance, self.ledger.next_sequence(), int(self.wall() * 1_000_000), self.boot_id,
            window=self.settings.window, previous=state.previous, predecessor=state.committed,
        )  # fmt: skip
        self.writer = ArchiveWriter(self.disk, self.settings.layout, head, self.clock, self.wall)
        log.emit(log_events.ARCHIVE_OPENED, archive=str(self.writer.id))
        return self.writer

    def _abandon(self, writer: ArchiveWriter, fault: StorageFault) -> None:
        self.writer = None
        self._abandoned.append(recovery.Abandoned(writer.path, writer.committed, writer.file, writer.fill.events))
        if writer.fill.events:
            self._note(lambda: self.ledger.note_abandoned(writer.id.sequence, writer.fill.events))
        writer.abandon()
        log.emit(log_events.ARCHIVE_ABANDONED, archive=str(writer.id), reason=fault.reason, detail=fault.what)

    def recover_abandoned(self) -> None:
        """Recover the archives that failed in this life, as far as the disk allows; the others stay for later."""
        began = self.clock()
        if began < self._recover_at:
            return
        for entry in list(self._abandoned):
            self._recover(entry)
        took_s = self.clock() - began
        # Each of them is read from its beginning: on a disk that takes no footer there are more of them all the time.
        self._recover_at = began + took_s / RECOVERY_SHARE if self._abandoned and took_s > QUICK_S else 0.0

    def _recover(self, entry: recovery.Abandoned) -> None:
        finding = recovery.recover(self.disk, self.settings.layout, entry.path, entry)
        report(finding)
        if finding.outcome in ("sealed", "repaired", "empty", "gone"):
            self._abandoned.remove(entry)
            report_lost(entry, finding)
        if finding.sealed is not None:
            self._note_sealed(finding.sealed)

    def adopt(self, path: Path) -> None:
        """An archive of an earlier life that could not be mended at the start: it is tried again."""
        self._abandoned.append(orphans.known_from_ledger(path, self.ledger))

    def due(self) -> str | None:
        """Why the open archive should be sealed now, if it should."""
        if self.writer is None:
            return None
        return roll_reason(self.settings.policy, self.writer.fill, self.clock(), self.wall())

    def snapshot(self) -> ArchiveLogSnapshot:
        """What another thread may know."""
        writer = self.writer
        return (
            ArchiveLogSnapshot(writer.id, writer.fill, self.last_roll)
            if writer
            else ArchiveLogSnapshot(None, None, self.last_roll)
        )

    def roll(self, reason: str) -> None:
        """Seal the open archive, if there is one. A failure is logged, and the archive recovered later: its batches
        are durable already."""
        writer, self.writer = self.writer, None
        if writer is None:
            return
        try:
            if not writer.fill.batches:
                self._discard(writer)
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
            reason=reason,
        )

    def own(self) -> OwnArchives:
        """What of our own open archives can be trusted."""
        committed = (self.writer.path, self.writer.fill.events) if self.writer else None
        begins = (*self.ledger.state.begins, self._next_place())
        return OwnArchives(committed, frozenset(abandoned.path for abandoned in self._abandoned), begins)

    def _next_place(self) -> EventPlace:
        """Where the next event may go, at the earliest; all that were archived are before it."""
        writer = self.writer
        return (writer.id.sequence, writer.fill.events) if writer else (self.ledger.state.sequence + 1, 0)

    def keep_begins(self, begins: tuple[EventPlace, ...]) -> None:
        """Keep the places at which generations began for later lives. On a disk that refuses, the next commit tries again."""
        if begins != self.ledger.state.begins:
            self._note(lambda: self.ledger.update(begins=begins))

    def _discard(self, writer: ArchiveWriter) -> None:
        try:
            writer.discard()
        except OSError as error:
            raise storage_fault(error, writer.path) from error

    def probe(self, size: int = 0) -> None:
        """Prove that the disk takes this number of bytes, and at least a small write. Raises StorageFault."""
        size = max(size, PROBE_BYTES)
        self._check_space(size)
        path = self.settings.layout.directory / f"{self.settings.instance}.probe"
        try:
            probe(self.disk, path, size)
        except OSError as error:
            raise storage_fault(error, path, size) from error
        self.recover_abandoned()

    def _note_sealed(self, sealed: Sealed) -> None:
        self.on_sealed(sealed.path)
        self._note(lambda: orphans.note_sealed(self.ledger, sealed))

    def _note(self, step: Callable[[], None]) -> None:
        """Keep in the ledger what is only a help: if the disk refuses now, the next life finds it in the archives."""
        try:
            step()
        except OSError as error:
            log.emit(log_events.RECOVERY_DEFERRED, path=str(self.ledger.path), reason=str(error))


def report_lost(entry: recovery.Abandoned, finding: recovery.Finding) -> None:
    """Log that an archive of this life holds fewer events than were committed to it, or is gone without having been sealed."""
    if finding.outcome == "gone" and find_again(entry.path):
        return
    if lost := max(entry.events - finding.events, 0):
        archive = entry.path.name.removesuffix(OPEN_SUFFIX)
        log.emit(log_events.EVENTS_LOST, archive=archive, path=str(entry.path), events=lost)


def report(finding: recovery.Finding) -> None:
    """Log what recovery did with a file."""
    if finding.outcome == "deferred":
        log.emit(log_events.RECOVERY_DEFERRED, path=str(finding.path), reason=finding.reason)
    elif finding.outcome != "held":
        torn = sum(gap.size for gap in finding.gaps if gap.kind is GapKind.TORN)
        gaps = sum(gap.kind is not GapKind.TORN for gap in finding.gaps)
        sealed = str(finding.sealed.path) if finding.sealed else ""
        log.emit(
            log_events.RECOVERED,
            path=str(finding.path),
            outcome=finding.outcome,
            events=finding.events,
            torn_bytes=torn,
            gaps=gaps,
            sealed=sealed,
        )
