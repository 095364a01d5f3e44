"""Remove deleted events from sealed archives permanently.

Invariants: every other event keeps its position. The footer counts the removed events, so that `verify` distinguishes them from
lost events. The tombstones stay, because copies of the archive and readers that have the old file open still need them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from consumer.archive import naming
from consumer.archive.listing import find_archives, id_of
from consumer.archive.reading.reader import ArchiveFile, ArchiveReader, StoredBatch, events_or_none, open_archive
from consumer.archive.reading.tombstones import SUFFIX, Tombstones, is_removed
from consumer.archive.rewriting.rewrite import (
    IS_LINK,
    BeingRewritten,
    Change,
    NotRewritable,
    remove_leftovers,
    rewrite,
)
from consumer.disk.durable import Disk, held

IN_USE = "another process deletes from it or compacts it: try again when that has ended"
_ASIDE = (naming.DAMAGED_SUFFIX, naming.TORN_SUFFIX)


class CompactionOutcome(StrEnum):
    """The result for a file. The values are those that `compact` prints."""

    COMPACTED = "compacted"
    OPEN = "open"  # not sealed yet: its deleted events are hidden
    ASIDE = "aside"  # a file that `repair` kept; it may hold deleted events too
    BUSY = "busy"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    REFUSED = "refused"  # a symbolic link
    FAILED = "failed"  # the disk did not accept the new file

    @property
    def is_failure(self) -> bool:
        """Whether deleted events are still in a sealed archive."""
        return self not in (self.COMPACTED, self.OPEN, self.ASIDE)


@dataclass(frozen=True, slots=True)
class Compaction:
    """The result for a file. `events`: deleted events that it held; `saved`: bytes; `reason`: why it was not compacted."""

    path: Path
    outcome: CompactionOutcome
    events: int = 0
    saved: int = 0
    reason: str = ""


def compact(disk: Disk, paths: Sequence[Path], level: int = 1) -> Iterator[Compaction]:
    """Rewrite the archives below the paths that hold deleted events. Raises OSError if the leftovers of an earlier run cannot be removed."""
    for path in find_archives(list(paths)):
        try:
            with open_archive(path) as archive:
                here, id = archive.path, archive.id
                waiting = _waiting(archive, Tombstones.of(archive))
        except OSError as error:
            yield Compaction(path, CompactionOutcome.UNREADABLE, reason=error.strerror or str(error))
            continue
        if id is None and id_of(here) is None:
            yield Compaction(here, CompactionOutcome.UNREADABLE, reason="is no archive")
            continue
        remove_leftovers(disk, here)
        if waiting:
            yield from _compact(disk, here, id, waiting, level)


def _compact(disk: Disk, path: Path, id: naming.ArchiveId | None, waiting: int, level: int) -> Iterator[Compaction]:
    """Compact an archive that holds `waiting` deleted events."""
    if path.name.endswith(naming.OPEN_SUFFIX):
        reason = "the events are hidden; compact it when it is sealed"
        yield Compaction(path, CompactionOutcome.OPEN, waiting, reason=reason)
        return
    if path.is_symlink():
        yield Compaction(path, CompactionOutcome.REFUSED, waiting, reason=IS_LINK)
        return
    with held(disk, path.parent / f"{id}{SUFFIX}.lock") as free:
        if free:
            yield _compact_locked(disk, path, level)
        else:
            yield Compaction(path, CompactionOutcome.BUSY, waiting, reason=IN_USE)
    for aside in sorted(path.parent.glob(f"*{id}*")):
        if aside.suffix in _ASIDE:
            reason = "may hold deleted events too: remove it when it is not needed any more"
            yield Compaction(aside, CompactionOutcome.ASIDE, reason=reason)


def _waiting(archive: ArchiveReader, tombstones: Tombstones) -> int:
    """How many deleted events the archive still holds."""
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


def _compact_locked(disk: Disk, path: Path, level: int) -> Compaction:
    with ArchiveFile(path) as archive:
        tombstones = Tombstones.of(archive)  # read again, because now no process can change them
        waiting = _waiting(archive, tombstones)
    try:
        saved = rewrite(disk, path, Change(tombstones, 0, level))
    except BeingRewritten as error:
        return Compaction(path, CompactionOutcome.BUSY, waiting, reason=str(error))
    except NotRewritable as error:
        return Compaction(path, CompactionOutcome.DAMAGED, waiting, reason=str(error))
    except OSError as error:
        reason = f"{error.strerror or error}; it is as it was"
        return Compaction(path, CompactionOutcome.FAILED, waiting, reason=reason)
    return Compaction(path, CompactionOutcome.COMPACTED, waiting, saved)
