"""Take deleted events out of sealed archives for good.

Invariants: the archive is there under its name at every moment, whole, either as it was or without the events; every other
event keeps its position; the footer says how many were taken out and which file it was, so that `verify`
tells it apart from a loss. The tombstones stay: copies and readers that have the old file open still need them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xxhash import xxh3_64_intdigest

from codec import archive as container
from codec import kvp
from codec.archive import BatchHeader
from codec.event import Event
from codec.parts import check_of
from consumer.archive import naming
from consumer.archive.durable import Disk, held
from consumer.archive.listing import find_archives
from consumer.archive.reader import ArchiveFile, Batch, Gap, Part, Seal, events_or_none, open_archive
from consumer.archive.recovery import digest
from consumer.archive.tombstones import SUFFIX, Tombstones, is_removed, removed
from consumer.archive.writer import Index
from consumer.errors import DeedboxError

_FRESH, _OLD = ".compacting", ".uncompacted"
_ASIDE = (naming.DAMAGED_SUFFIX, naming.TORN_SUFFIX)


@dataclass(frozen=True, slots=True)
class Compaction:
    """What was done with a file. `outcome`: compacted, open, damaged, unreadable, or aside for what repair kept of it."""

    path: Path
    outcome: str
    events: int = 0
    saved: int = 0
    reason: str = ""


def compact(disk: Disk, paths: Sequence[Path], level: int = 1) -> Iterator[Compaction]:
    """Rewrite the archives below the paths that hold deleted events. Raises OSError and DeedboxError."""
    for path in find_archives(list(paths)):
        try:
            with open_archive(path) as archive:
                waiting = _waiting(archive, Tombstones.of(archive))
                here, id = archive.path, archive.id
        except OSError as error:
            yield Compaction(path, "unreadable", reason=error.strerror or str(error))
            continue
        for leftover in (here.with_name(here.name + suffix) for suffix in (_FRESH, _OLD)):
            if leftover.exists():
                disk.remove(leftover)  # of a compaction that did not end
        if not waiting:
            continue
        if here.name.endswith(naming.OPEN_SUFFIX):
            yield Compaction(here, "open", waiting, reason="the events are hidden; compact it when it is sealed")
            continue
        lock = here.parent / f"{id}{SUFFIX}.lock"
        with held(disk, lock) as free:
            if not free:
                raise DeedboxError(f"{lock}: another process deletes or compacts", "try again when it has ended")
            yield _compact(disk, here, level)
        for aside in sorted(here.parent.glob(f"*{id}*")):
            if aside.suffix in _ASIDE:
                yield Compaction(aside, "aside", reason="may hold deleted events too: remove it when nobody needs it")


def _waiting(archive: ArchiveFile, tombstones: Tombstones) -> int:
    """How many deleted events are still there."""
    if not tombstones.events:
        return 0
    batches = [
        part for part in archive.parts(frames=False) if isinstance(part, Batch) and tombstones.within(part.header)
    ]
    return sum(
        number in tombstones.events and not is_removed(event)
        for batch in batches
        for number, event in enumerate(events_or_none(archive, batch), batch.header.first_event)
    )


def _compact(disk: Disk, path: Path, level: int) -> Compaction:
    with ArchiveFile(path) as archive:
        tombstones = Tombstones.of(archive)  # again, under the lock
        waiting = _waiting(archive, tombstones)
        parts = [_without_frame(part) for part in archive.parts()]  # every frame is compared with its checksum
        if reason := _damage(parts):
            return Compaction(path, "damaged", waiting, reason=reason)
        assert isinstance(parts[-1], Seal), "see _damage"
        fresh = path.with_name(path.name + _FRESH)
        batches = [part for part in parts if isinstance(part, Batch)]
        _rewrite(disk, archive, batches, parts[-1], tombstones, fresh, level)
    aside = path.with_name(path.name + _OLD)
    saved = path.stat().st_size - fresh.stat().st_size
    disk.supplant(path, fresh, aside)
    disk.remove(aside)
    return Compaction(path, "compacted", waiting, saved)


def _damage(parts: Sequence[Part]) -> str:
    """Why an archive must not be rewritten: the new one would hide what this one lacks. Empty if it may be."""
    if newer := next((part for part in parts if isinstance(part, Gap) and part.kind == "newer"), None):
        return newer.reason
    end = parts[-1] if parts else None
    if not isinstance(end, Seal) or any(isinstance(part, Gap) and part.size for part in parts):
        return "repair it first"
    if [row.header for row in end.rows] != [part.header for part in parts if isinstance(part, Batch)]:
        return "its footer names other batches: repair it first"
    return ""


def _without_frame(part: Part) -> Part:
    return Batch(part.offset, part.header) if isinstance(part, Batch) else part


def _rewrite(
    disk: Disk,
    archive: ArchiveFile,
    batches: Sequence[Batch],
    seal: Seal,
    tombstones: Tombstones,
    fresh: Path,
    level: int,
) -> None:
    """Write the archive anew, with the chain of its batches, to `fresh`."""
    index = Index(check_of(archive.head_raw))
    gone = 0
    fd = disk.create(fresh)
    try:
        disk.append(fd, archive.head_raw)
        for batch in batches:
            frame = archive.read(batch.offset + container.BATCH_HEADER_BYTES, batch.header.compressed)
            events = Batch(batch.offset, batch.header, (frame,)).events()
            kept = [
                removed(event) if number in tombstones.events else event
                for number, event in enumerate(events, batch.header.first_event)
            ]
            gone += sum(map(is_removed, kept))
            header = replace(batch.header, previous=index.link, check=0)
            if kept != events:
                raw = b"".join(kvp.encode_batch(kept, str(archive.id), header.first_event))
                frame = container.compress(raw, level)
                header = _header(header, kept, raw, frame)
            header_raw = container.encode_batch_header(header)
            disk.append(fd, header_raw + frame)
            index.add(container.decode_batch_header(header_raw), kept)
        before = seal.footer.rewritten_from or digest(archive.path)
        disk.append(fd, index.encode_end(len(archive.head_raw), seal.footer.gaps, before, gone))
        disk.sync(fd)
        disk.make_read_only(fd)
    finally:
        disk.close(fd)


def _header(header: BatchHeader, events: Sequence[Event], raw: bytes, frame: bytes) -> BatchHeader:
    times = [event.time_us for event in events]
    return replace(
        header, records=len(raw) // kvp.RECORD_BYTES, compressed=len(frame), raw=len(raw), first_us=min(times),
        last_us=max(times), frame_check=xxh3_64_intdigest(frame),
    )  # fmt: skip
