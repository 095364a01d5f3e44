"""Prove that archives are complete, or name what is not: file, offset, reason.

Looks at every byte: checksums and chains, every record, the footer against the batches, the seek table against the frames,
and from archive to archive the sequence and the digest of the one before.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from codec.errors import CodecError
from codec.footer import LostBytes
from consumer.archive import naming
from consumer.archive.checking.acknowledged import settle
from consumer.archive.checking.chain import Chain
from consumer.archive.checking.verdict import Verdict
from consumer.archive.counted import counted
from consumer.archive.instances import find_instances
from consumer.archive.listing import sorted_archives
from consumer.archive.reading.reader import ArchiveFile, Batch, Gap, Seal, events_or_none, open_archive
from consumer.archive.reading.tombstones import Tombstones, head_of, is_removed
from consumer.errors import DeedboxError

Mapped = Callable[[Callable[[Path], Verdict], Iterable[Path]], Iterator[Verdict]]


def verify(paths: list[Path], mapped: Mapped = map) -> Iterator[Verdict]:
    """A verdict for each archive below the paths, in order of instance and sequence, and for each that is missing.

    Each directory is looked at by itself, and the files that were named are looked at together. `mapped` applies a function to
    each archive, in order: `map` itself, or one that has others do it ahead.
    """
    files = [path for path in paths if not path.is_dir()]
    seen: set[tuple[int, int]] = set()
    for group in [*([path] for path in paths if path.is_dir()), files]:
        yield from _verify_together(group, mapped, seen)


def _verify_together(paths: list[Path], mapped: Mapped, seen: set[tuple[int, int]]) -> Iterator[Verdict]:
    # Before the archives are listed: what an instance commits in the meantime must not be missed.
    chain = Chain([one for path in paths if path.is_dir() for one in find_instances(path)])
    for verdict in mapped(verify_archive, sorted_archives(paths)):
        if verdict.file in seen:
            continue  # sealed between listing and opening, it is there under both its names
        if verdict.file is not None:
            seen.add(verdict.file)
        chain.check(verdict)
        settle(verdict)
        yield verdict
    for verdict in chain.missing():
        settle(verdict)
        yield verdict


def verify_archive(path: Path) -> Verdict:
    """The verdict on one archive, looked at alone."""
    try:
        return _verify_archive(path)
    except (OSError, DeedboxError) as error:
        verdict = Verdict(path)
        verdict.fault(0, str(getattr(error, "strerror", None) or error))
        return verdict


def _verify_archive(path: Path) -> Verdict:
    with open_archive(path) as archive:
        live = archive.live
        verdict = Verdict(archive.path, archive.id, size=archive.size, file=archive.file)
        if archive.head is not None and archive.head_id != archive.id:
            verdict.fault(0, f"the head says {archive.head_id}, the name {archive.id}")
        tombstones = Tombstones.of(archive)
        batches: list[Batch] = []
        gaps: list[tuple[int, Gap]] = []  # each with the number of batches before it
        seal: Seal | None = None
        for part in archive.parts():
            if isinstance(part, Batch):
                _verify_batch(verdict, part)
                batches.append(Batch(part.offset, part.header))
            elif isinstance(part, Gap):
                if not (live and part.harmless):  # the last bytes of a live archive are on their way
                    gaps.append((len(batches), part))
            else:
                seal = part
        _verify_gaps(verdict, batches, gaps, seal.footer.gaps if seal else [])
        if seal:
            _verify_seal(verdict, batches, seal)
        unsealed = "orphaned" if path.name.endswith(naming.OPEN_SUFFIX) else "truncated"
        verdict.state = "sealed" if seal else "open" if live else unsealed
        if archive.size == 0 and not live:
            verdict.fault(0, "empty file")
        elif seal is None and not path.name.endswith(naming.OPEN_SUFFIX) and not verdict.faults:
            verdict.fault(archive.size, "the end is missing: no footer")
        if archive.head is not None:
            verdict.before, verdict.predecessor = archive.head.previous, archive.head.predecessor
            verdict.head = head_of(archive) or ""
        _verify_tombstones(verdict, archive, batches, tombstones)
        return verdict


def _verify_batch(verdict: Verdict, batch: Batch) -> None:
    header = batch.header
    try:
        events = batch.events()
    except CodecError as error:
        verdict.fault(batch.offset, f"batch {header.number}: {error}")
        return
    verdict.batches += 1
    verdict.events += len(events)
    verdict.duplicates += sum(1 for event in events if event.duplicate)
    verdict.removed += sum(map(is_removed, events))
    if len(events) != header.events or header.raw != header.records * 2560:
        verdict.fault(batch.offset, f"batch {header.number}: {len(events)} events, {header.events} expected")


def _verify_gaps(verdict: Verdict, batches: list[Batch], gaps: list[tuple[int, Gap]], known: list[LostBytes]) -> None:
    """Report gaps, with the number of events that are missing in them. A gap that the footer names is reported by its name there."""
    ends = {(gap.first_event or 0) + gap.events for gap in known if gap.events is not None}
    for before, gap in gaps:
        after = batches[before].header.first_event if before < len(batches) else None
        if gap.kind == "missing" and after in ends:
            continue
        last = batches[before - 1].header if before else None
        lost = 0 if after is None else max(after - (last.first_event + last.events if last else 0), 0)
        count = f", {counted(lost, 'event')} lost" if lost and gap.kind != "missing" else ""
        verdict.lost += lost
        verdict.fault(gap.offset, f"{gap}{count}")


def _verify_seal(verdict: Verdict, batches: list[Batch], seal: Seal) -> None:
    footer = seal.footer
    verdict.lost += sum(gap.events or 0 for gap in footer.gaps)
    for gap in footer.gaps:
        verdict.fault(gap.offset, f"before a repair, {gap}")
    if [row.header for row in seal.rows] != [batch.header for batch in batches]:
        verdict.fault(seal.offset, f"footer knows {len(seal.rows)} batches, {len(batches)} found")
    if footer.removed != verdict.removed:
        verdict.fault(seal.offset, f"footer counts {footer.removed} removed events, {verdict.removed} found")
    if footer.events != sum(batch.header.events for batch in batches):
        verdict.fault(seal.offset, f"footer counts {footer.events} events, {verdict.events} found")


def _verify_tombstones(verdict: Verdict, archive: ArchiveFile, batches: list[Batch], tombstones: Tombstones) -> None:
    """Count what is deleted and still there; a tombstone of nothing shows."""
    unread = set(tombstones.events)
    for batch in batches:
        if numbers := tombstones.within(batch.header):
            events = dict(enumerate(events_or_none(archive, batch), batch.header.first_event))
            verdict.deleted += sum(not is_removed(events[number]) for number in numbers if number in events)
            unread -= events.keys()
    for number in sorted(unread):
        verdict.fault(0, f"a tombstone names event {number}, which cannot be read")
