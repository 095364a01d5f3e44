"""Merge the batches of sealed archives where that saves space: at low rates each event is a batch, which hardly compresses.

Invariants: events, positions and marks stay the same. There are fewer batches, and there are filters, which an archive that
recovery sealed did not have. An archive that has lost events stays as it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from codec.archive import TUNED_FOR_RECORDS
from codec.gap import Gap
from codec.profiles import RECORD_BYTES
from consumer.archive import naming
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveReader, Seal, StoredBatch, open_archive
from consumer.archive.reading.tombstones import Tombstones
from consumer.archive.rewriting.rewrite import IS_LINK, Change, NotRewritable, grouped, remove_leftovers, rewrite
from consumer.disk.durable import Disk

FRAME_RAW = 1000 * RECORD_BYTES  # larger frames compress hardly better, and reading one event of them costs more
LEVEL = 12
FREE_BYTES_MIN = 64 << 20  # free space that ingest keeps while the copy is written


class RepackOutcome(StrEnum):
    """The result for an archive. The values are those that `compact --repack` prints."""

    REPACKED = "repacked"
    UNFIT = "unfit"  # it stays as it is, for now or until it is repaired
    REFUSED = "refused"  # a symbolic link
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Repacked:
    """The result for an archive. `saved`: bytes; `reason`: why it was not repacked."""

    path: Path
    outcome: RepackOutcome
    saved: int = 0
    reason: str = ""


def repack(disk: Disk, paths: Sequence[Path]) -> Iterator[Repacked]:
    """Repack the sealed archives below the paths for which it saves space."""
    for path in find_archives(list(paths)):
        if not path.name.endswith(naming.OPEN_SUFFIX):
            try:
                remove_leftovers(disk, path)
                if pays(path) and path.is_symlink():
                    yield Repacked(path, RepackOutcome.REFUSED, reason=IS_LINK)
                elif pays(path):
                    yield Repacked(path, RepackOutcome.REPACKED, _repack(disk, path))
            except NotRewritable as error:
                yield Repacked(path, RepackOutcome.UNFIT, reason=str(error))
            except OSError as error:
                yield Repacked(path, RepackOutcome.UNREADABLE, reason=error.strerror or str(error))


def _repack(disk: Disk, path: Path) -> int:
    if disk.free_bytes(path.parent) < path.stat().st_size + FREE_BYTES_MIN:
        raise NotRewritable(f"less than {FREE_BYTES_MIN >> 20} MiB would be free: free space")
    return rewrite(disk, path, Change(Tombstones(), FRAME_RAW, LEVEL, TUNED_FOR_RECORDS))


def pays(path: Path) -> bool:
    """Whether repacking is worth its cost: the archive is whole, and at least half of its batches would go or it has no filters. Raises OSError."""
    with open_archive(path) as archive:
        batches, seal = _whole(archive)
    if seal is None or not batches:
        return False
    merged = sum(1 for _ in grouped(batches, FRAME_RAW))
    filters = any(row.words for row in seal.rows) or seal.footer.rewritten_from is not None
    return 2 * merged <= len(batches) or not filters


def _whole(archive: ArchiveReader) -> tuple[list[StoredBatch], Seal | None]:
    """The batches of an archive, and its seal; no seal if the archive has lost events."""
    batches: list[StoredBatch] = []
    events = 0
    for part in archive.parts(frames=False):
        if isinstance(part, Gap) or (isinstance(part, StoredBatch) and part.header.first_event != events):
            return batches, None
        if isinstance(part, Seal):
            return batches, None if part.footer.gaps else part
        events += part.header.events
        batches.append(part)
    return batches, None
