"""Take deleted events out of sealed archives for good.

Every other event keeps its position; the footer says how many were taken out, so that `verify` tells it from a loss. The tombstones
stay: copies and readers that have the old file open still need them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from consumer.archive import naming
from consumer.archive.listing import find_archives, id_of
from consumer.archive.reading.reader import ArchiveFile, ArchiveReader, StoredBatch, events_or_none, open_archive
from consumer.archive.reading.tombstones import SUFFIX, Tombstones, is_removed
from consumer.archive.rewriting.rewrite import IS_LINK, BeingRewritten, Change, NotRewritable, remove_leftovers, rewrite
from consumer.disk.durable import Disk, held

IN_USE = "another process deletes from it or compacts it: try again when that has ended"
_ASIDE = (naming.DAMAGED_SUFFIX, naming.TORN_SUFFIX)


@dataclass(frozen=True, slots=True)
class Compaction:
    """What was done with a file. `outcome`: compacted, open, busy, damaged, unreadable, refused, or aside for what repair kept of it."""

    path: Path
    outcome: str
    events: int = 0
    saved: int = 0
    reason: str = ""


def compact(disk: Disk, paths: Sequence[Path], level: int = 1) -> Iterator[Compaction]:
    """Rewrite the archives below the paths that hold deleted events. Raises OSError."""
    for path in find_archives(list(paths)):
        try:
            with open_archive(path) as archive:
                waiting = _waiting(archive, Tombstones.of(archive))
                here, id = archive.path, archive.id
                if id is None and id_of(here) is None:
                    yield Compaction(here, "unreadable", reason="is no archive")
                    continue
        except OSError as error:
            yield Compaction(path, "unreadable", reason=error.strerror or str(error))
            continue
        remove_leftovers(disk, here)
        if not waiting:
            continue
        if here.name.endswith(naming.OPEN_SUFFIX):
            yield Compaction(here, "open", waiting, reason="the events are hidden; compact it when it is sealed")
            continue
        if here.is_symlink():
            yield Compaction(here, "refused", waiting, reason=IS_LINK)
            continue
        lock = here.parent / f"{id}{SUFFIX}.lock"
        with held(disk, lock) as free:
            yield _compact(disk, here, level) if free else Compaction(here, "busy", waiting, reason=IN_USE)
        for aside in sorted(here.parent.glob(f"*{id}*")):
            if aside.suffix in _ASIDE:
                yield Compaction(aside, "aside", reason="may hold deleted events too: remove it when nobody needs it")


def _waiting(archive: ArchiveReader, tombstones: Tombstones) -> int:
    """How many deleted events are still there."""
    if not tombstones.events:
        return 0
    batches = [
        part for part in archive.parts(frames=False) if isinstance(part, StoredBatch) and tombstones.within(part.header)
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
    try:
        saved = rewrite(disk, path, Change(tombstones, 0, level))
    except BeingRewritten as error:
        return Compaction(path, "busy", waiting, reason=str(error))
    except NotRewritable as error:
        return Compaction(path, "damaged", waiting, reason=str(error))
    except OSError as error:
        return Compaction(path, "failed", waiting, reason=f"{error.strerror or error}; it is as it was")
    return Compaction(path, "compacted", waiting, saved)
