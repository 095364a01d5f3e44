"""Check one archive by itself: every byte, every record, the footer against the batches, the seek table against the frames.

A check that is not deep reads the head and the footer, and compares them; of an archive without a footer, the headers of the batches.
Invariant: the check reads only an `ArchiveReader`, so that an archive that is no local file is checked in the same way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from codec.counted import counted
from codec.errors import CodecError
from codec.gap import Gap, GapKind
from codec.profiles import RECORD_BYTES
from consumer.archive import naming
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import ArchiveState, Verdict
from consumer.archive.reading.footer_parts import parts_by_footer
from consumer.archive.reading.found import Part
from consumer.archive.reading.reader import ArchiveReader, Seal, StoredBatch, events_or_none
from consumer.archive.reading.sha256 import sha256_from
from consumer.archive.reading.tombstones import Tombstones, head_of, is_removed


@dataclass
class _Parts:
    """The parts of an archive. `gaps`: each with the number of batches before it."""

    batches: list[StoredBatch] = field(default_factory=list)
    gaps: list[tuple[int, Gap]] = field(default_factory=list)
    seal: Seal | None = None


def check_archive(archive: ArchiveReader, tombstones: Tombstones, deep: bool = True) -> Verdict:
    """The verdict on one archive, checked by itself. `tombstones`: its deleted events. Raises OSError."""
    verdict = Verdict(archive.path, archive.id, size=archive.size, deep=deep)
    if archive.head is not None and archive.head_id != archive.id:
        reason = f"the head names archive {archive.head_id}, and the file name {archive.id}"
        verdict.fault(FaultCode.HEAD_NAME, 0, reason, archive.head_id)
    found = _read_parts(verdict, archive, archive.parts() if deep else parts_by_footer(archive))
    _check_gaps(verdict, found)
    if found.seal:
        verdict.rewritten_from = found.seal.footer.rewritten_from
        verdict.footer = sha256_from(archive, found.seal.offset)
        if not deep:
            verdict.removed = found.seal.footer.removed
        _check_seal(verdict, found.batches, found.seal)
    _check_end(verdict, archive, found.seal)
    if archive.head is not None:
        verdict.before, verdict.predecessor = archive.head.previous, archive.head.predecessor
        verdict.head = head_of(archive) or ""
    (_check_tombstones if deep else _count_tombstones)(verdict, archive, found.batches, tombstones)
    return verdict


def _read_parts(verdict: Verdict, archive: ArchiveReader, parts: Iterable[Part]) -> _Parts:
    """Read the archive once. The events of each batch are checked if its frame was read."""
    found = _Parts()
    for part in parts:
        if isinstance(part, StoredBatch):
            if part.frame is None:
                verdict.batches += 1
                verdict.events += part.header.events
            else:
                _check_batch(verdict, part)
            found.batches.append(StoredBatch(part.offset, part.header))
        elif isinstance(part, Seal):
            found.seal = part
        elif not (archive.live and part.harmless):  # the last bytes of a live archive are being written
            found.gaps.append((len(found.batches), part))
    return found


def _check_batch(verdict: Verdict, batch: StoredBatch) -> None:
    header = batch.header
    try:
        events = batch.events()
    except CodecError as error:
        verdict.fault(FaultCode.BATCH_UNREADABLE, batch.offset, f"batch {header.number}: {error}", header.number)
        return
    verdict.batches += 1
    verdict.events += len(events)
    verdict.duplicates += sum(1 for event in events if event.duplicate)
    verdict.removed += sum(map(is_removed, events))
    if len(events) != header.events or header.raw != header.records * RECORD_BYTES:
        reason = f"batch {header.number}: {counted(len(events), 'event')}, {header.events} expected"
        verdict.fault(FaultCode.BATCH_COUNT, batch.offset, reason, header.number, len(events))


def _check_gaps(verdict: Verdict, found: _Parts) -> None:
    """Report gaps, with the number of events that are missing in them. A gap that the footer names is reported as it is named there."""
    known = found.seal.footer.gaps if found.seal else []
    ends = {(gap.first_event or 0) + gap.events for gap in known if gap.events is not None}
    for before, gap in found.gaps:
        after = found.batches[before].header.first_event if before < len(found.batches) else None
        if gap.kind is GapKind.MISSING and after in ends:
            continue
        last = found.batches[before - 1].header if before else None
        lost = 0 if after is None else max(after - (last.first_event + last.events if last else 0), 0)
        count = f", {counted(lost, 'event')} lost" if lost and gap.kind is not GapKind.MISSING else ""
        verdict.lost += lost
        verdict.fault(FaultCode.GAP, gap.offset, f"{gap}{count}", gap.kind, gap.size, lost)


def _check_seal(verdict: Verdict, batches: Sequence[StoredBatch], seal: Seal) -> None:
    footer = seal.footer
    verdict.lost += sum(gap.events or 0 for gap in footer.gaps)
    for gap in footer.gaps:
        detail = (gap.kind, gap.size, gap.first_event, gap.events)
        verdict.fault(FaultCode.REPAIRED_GAP, gap.offset, f"before a repair, {gap.loss}", *detail)
    if [row.header for row in seal.rows] != [batch.header for batch in batches]:
        reason = f"the footer lists {counted(len(seal.rows), 'batch', 'batches')}, {len(batches)} found"
        verdict.fault(FaultCode.FOOTER_BATCHES, seal.offset, reason, len(seal.rows), len(batches))
    if footer.removed != verdict.removed:
        reason = f"the footer counts {counted(footer.removed, 'removed event')}, {verdict.removed} found"
        verdict.fault(FaultCode.FOOTER_REMOVED, seal.offset, reason, footer.removed, verdict.removed)
    if footer.events != sum(batch.header.events for batch in batches):
        reason = f"the footer counts {counted(footer.events, 'event')}, {verdict.events} found"
        verdict.fault(FaultCode.FOOTER_EVENTS, seal.offset, reason, footer.events, verdict.events)


def _check_end(verdict: Verdict, archive: ArchiveReader, seal: Seal | None) -> None:
    """The state of the archive; an archive that has the name of a sealed one must have a footer."""
    has_open_name = archive.path.name.endswith(naming.OPEN_SUFFIX)
    if seal:
        verdict.state = ArchiveState.SEALED
    elif archive.live:
        verdict.state = ArchiveState.OPEN
    else:
        verdict.state = ArchiveState.ORPHANED if has_open_name else ArchiveState.TRUNCATED
    if archive.size == 0 and not archive.live:
        verdict.fault(FaultCode.EMPTY_FILE, 0, "empty file")
    elif seal is None and not has_open_name and not verdict.faults:
        verdict.fault(FaultCode.NO_FOOTER, archive.size, "the end is missing: no footer")


def _check_tombstones(
    verdict: Verdict, archive: ArchiveReader, batches: Sequence[StoredBatch], tombstones: Tombstones
) -> None:
    """Count the deleted events that are still in the archive. A tombstone of an event that cannot be read is a fault."""
    unread = set(tombstones.events)
    for batch in batches:
        if numbers := tombstones.within(batch.header):
            events = dict(enumerate(events_or_none(archive, batch), batch.header.first_event))
            verdict.deleted += sum(not is_removed(events[number]) for number in numbers if number in events)
            unread -= events.keys()
    for number in sorted(unread):
        verdict.fault(FaultCode.TOMBSTONE, None, f"a tombstone names event {number}, which cannot be read", number)


def _count_tombstones(
    verdict: Verdict, _archive: ArchiveReader, batches: Sequence[StoredBatch], tombstones: Tombstones
) -> None:
    """Count the deleted events by the numbers of the batches. A tombstone of an event that no batch holds is a fault."""
    held = {number for batch in batches for number in tombstones.within(batch.header)}
    verdict.deleted = max(len(held) - verdict.removed, 0)  # the tombstone of a removed event stays
    for number in sorted(tombstones.events - held):
        verdict.fault(FaultCode.TOMBSTONE, None, f"a tombstone names event {number}, which cannot be read", number)
