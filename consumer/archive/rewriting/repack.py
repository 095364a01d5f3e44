"""Merge the batches of sealed archives where that pays: at low rates each event is a batch, and as large as plain text.

Same events, same positions, same marks; fewer batches, and filters also where recovery has sealed without. An archive
that has lost something stays as it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

FRAME_RAW = 1000 * RECORD_BYTES  # larger frames are hardly smaller, and one event of them costs more to read
LEVEL = 12
FREE_BYTES_MIN = 64 << 20  # left to ingest, beside the copy


@dataclass(frozen=True, slots=True)
class Repacked:
    """What was done with an archive. `outcome`: repacked, unfit (it stays as it is, for now or until it is repaired), or unreadable; `saved`: bytes."""

    path: Path
    outcome: str
    saved: int = 0
    reason: str = ""


def repack(disk: Disk, paths: Sequence[Path]) -> Iterator[Repacked]:
    """Repack the archives below the paths that it pays for."""
    for path in find_archives(list(paths)):
        if not path.name.endswith(naming.OPEN_SUFFIX):
            try:
                remove_leftovers(disk, path)
                if pays(path) and path.is_symlink():
                    yield Repacked(path, "refused", reason=IS_LINK)
                elif pays(path):
                    yield Repacked(path, "repacked", _repack(disk, path))
            except NotRewritable as error:
                yield Repacked(path, "unfit", reason=str(error))
            except OSError as error:
                yield Repacked(path, "unreadable", reason=error.strerror or str(error))


def _repack(disk: Disk, path: Path) -> int:
    if disk.free_bytes(path.parent) < path.stat().st_size + FREE_BYTES_MIN:
        raise NotRewritable(f"less than {FREE_BYTES_MIN >> 20} MiB would be free: free space")
    return rewrite(disk, path, Change(Tombstones(), FRAME_RAW, LEVEL, TUNED_FOR_RECORDS))


def pays(path: Path) -> bool:
    """Whether an archive is whole, and half of its batches or more would go, or it has no filters yet. Raises OSError."""
    with open_archive(path) as archive:
        batches, seal = _whole(archive)
    if seal is None or not batches:
        return False
    merged = sum(1 for _ in grouped(batches, FRAME_RAW))
    filters = any(row.words for row in seal.rows) or seal.footer.rewritten_from is not None
    return 2 * merged <= len(batches) or not filters


def _whole(archive: ArchiveReader) -> tuple[list[StoredBatch], Seal | None]:
    """The batches of an archive that has lost nothing, and its seal; otherwise no seal."""
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
