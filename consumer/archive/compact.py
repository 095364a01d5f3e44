"""Take deleted events out of sealed archives for good.

Invariants: the archive is there under its name at every moment, whole, either as it was or without the events; every other
event keeps its place, `archive:batch:index`; the footer says how many were taken out and which file it was, so that `verify`
tells it apart from a loss.
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
from consumer.archive.reader import ArchiveFile, Batch, Gap, Part, Seal, find_archives
from consumer.archive.recovery import digest
from consumer.archive.tombstones import Tombstones, is_removed, removed
from consumer.archive.writer import Index
from consumer.errors import DeedboxError


@dataclass(frozen=True, slots=True)
class Compaction:
    """What was done with an archive. `outcome`: compacted, open, damaged."""

    path: Path
    outcome: str
    events: int = 0
    saved: int = 0
    reason: str = ""


def compact(disk: Disk, paths: Sequence[Path], level: int = 1) -> Iterator[Compaction]:
    """Rewrite the archives below the paths that have deleted events. Raises OSError and DeedboxError."""
    for path in find_archives(list(paths)):
        with ArchiveFile(path) as archive:
            tombstones = Tombstones.of(path, archive.id)
        if tombstones.path is None:
            continue
        if path.name.endswith(naming.OPEN_SUFFIX):
            yield Compaction(
                path, "open", len(tombstones.places), reason="the events are hidden; compact it when it is sealed"
            )
            continue
        lock = tombstones.path.with_name(tombstones.path.name + ".lock")
        with held(disk, lock) as free:
            if not free:
                raise DeedboxError(f"{lock}: another process deletes or compacts", "try again when it has ended")
            yield _compact(disk, path, level)


def _compact(disk: Disk, path: Path, level: int) -> Compaction:
    with ArchiveFile(path) as archive:
        tombstones = Tombstones.of(path, archive.id)  # again, under the lock
        parts = [_without_frame(part) for part in archive.parts()]  # every frame is compared with its checksum
        if any(isinstance(part, Gap) for part in parts) or not parts or not isinstance(parts[-1], Seal):
            return Compaction(path, "damaged", len(tombstones.places), reason="repair it first")
        fresh = path.with_name(path.name + ".compacting")
        fresh.unlink(missing_ok=True)  # left by a compaction that did not end
        _rewrite(
            disk, archive, [part for part in parts if isinstance(part, Batch)], parts[-1], tombstones, fresh, level
        )
    aside = path.with_name(path.name + ".uncompacted")
    aside.unlink(missing_ok=True)
    saved = path.stat().st_size - fresh.stat().st_size
    disk.supplant(path, fresh, aside)
    disk.remove(aside)
    assert tombstones.path is not None, "asked before"
    disk.remove(tombstones.path)
    return Compaction(path, "compacted", len(tombstones.places), saved)


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
            events = Batch(batch.offset, batch.header, frame).events()
            kept = [
                removed(event) if (batch.header.number, at) in tombstones.places else event
                for at, event in enumerate(events)
            ]
            gone += sum(map(is_removed, kept))
            header = replace(batch.header, previous=index.link, check=0)
            if kept != events:
                raw = b"".join(kvp.encode_batch(kept, str(archive.id), index.events))
                frame = container.compress(raw, level)
                header = _header(header, kept, raw, frame)
            header_raw = container.encode_batch_header(header)
            disk.append(fd, header_raw + frame)
            index.add(container.decode_batch_header(header_raw), kept)
        before = seal.footer.mended_from or digest(archive.path)
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
