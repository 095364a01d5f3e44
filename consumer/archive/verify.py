"""Prove that archives are complete, or name what is not: file, offset, reason.

Looks at every byte: checksums and chains, every record, the footer against the batches, the seek table against the frames,
and from archive to archive the sequence and the digest of the one before.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codec.archive import Previous
from codec.errors import CodecError
from consumer.archive import naming
from consumer.archive.listing import find_archives
from consumer.archive.reader import ArchiveFile, Batch, Gap, Seal, events_or_none, open_archive
from consumer.archive.recovery import digest
from consumer.archive.tombstones import Tombstones, is_removed
from consumer.errors import DeedboxError


@dataclass
class Verdict:
    """What one archive holds and what is wrong with it.

    `duplicates`: events that were marked as such. `deleted`: those that are hidden, until `compact` takes them out;
    `removed`: those that it took out.
    """

    path: Path
    id: naming.ArchiveId | None = None
    batches: int = 0
    events: int = 0
    duplicates: int = 0
    deleted: int = 0
    removed: int = 0
    size: int = 0
    state: str = "unreadable"  # sealed, open (its owner lives), orphaned
    before: Previous | None = None  # the archive that was sealed before this one, by the head
    faults: list[str] = field(default_factory=list)

    def fault(self, offset: int, reason: str) -> None:
        """Note what is wrong, and where."""
        self.faults.append(f"{self.path}: at {offset}: {reason}")


Mapped = Callable[[Callable[[Path], Verdict], Iterable[Path]], Iterator[Verdict]]


def verify(paths: list[Path], mapped: Mapped = map) -> Iterator[Verdict]:
    """A verdict for each archive below the paths, in order of instance and sequence.

    `mapped` applies a function to each archive, in order: `map` itself, or one that has others do it ahead.
    """
    previous: Verdict | None = None
    seen: set[Path] = set()
    for verdict in mapped(verify_archive, find_archives(paths)):
        if verdict.path in seen:
            continue  # sealed between listing and opening, it is there under both its names
        seen.add(verdict.path)
        _verify_place(verdict, previous)
        previous = verdict if verdict.id else previous
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
        verdict = Verdict(archive.path, archive.id, size=archive.size)
        if archive.head is not None and archive.head_id != archive.id:
            verdict.fault(0, f"the head says {archive.head_id}, the name {archive.id}")
        tombstones = Tombstones.of(archive)
        batches: list[Batch] = []
        seal: Seal | None = None
        for part in archive.parts():
            if isinstance(part, Batch):
                _verify_batch(verdict, part)
                batches.append(Batch(part.offset, part.header))
            elif isinstance(part, Gap):
                if not (live and part.harmless):  # the last bytes of a live archive are on their way
                    verdict.fault(part.offset, f"{part.kind}, {part.size} bytes: {part.reason}")
            else:
                seal = part
                _verify_seal(verdict, batches, part)
        verdict.state = "sealed" if seal else "open" if live else "orphaned"
        if archive.size == 0:
            verdict.fault(0, "empty file")
        elif seal is None and not path.name.endswith(naming.OPEN_SUFFIX) and not verdict.faults:
            verdict.fault(archive.size, "the end is missing: no footer")
        verdict.before = archive.head.previous if archive.head else None
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


def _verify_seal(verdict: Verdict, batches: list[Batch], seal: Seal) -> None:
    footer = seal.footer
    for gap in footer.gaps:
        verdict.fault(gap.offset, f"lost before it was mended: {gap.kind}, {gap.bytes} bytes: {gap.reason}")
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


def _verify_place(verdict: Verdict, previous: Verdict | None) -> None:
    """Whether the archive that was sealed before this one is there, and is what it was; if older ones are looked at."""
    before = verdict.before
    if before is None or previous is None or previous.id is None or verdict.id is None:
        return
    named = naming.parse_sealed(Path(before.archive))
    if named is None or not (verdict.id.instance == previous.id.instance == named.instance):
        return
    if named.sequence > previous.id.sequence:
        verdict.fault(0, f"archive {named} is missing: it was sealed before this one")
    elif named == previous.id and before.sha256 and not _is(previous.path, before.sha256):
        verdict.fault(
            0, f"{previous.path.name} is not the archive that was sealed before this one: its SHA-256 differs"
        )


def _is(path: Path, sha256: str) -> bool:
    if digest(path) == sha256:
        return True
    with ArchiveFile(path) as archive:  # mended: the footer names the original
        return any(
            isinstance(part, Seal) and part.footer.rewritten_from == sha256 for part in archive.parts(frames=False)
        )
