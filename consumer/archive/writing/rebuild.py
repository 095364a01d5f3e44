"""Rebuild a damaged archive: its whole batches in a new file with a new footer.

Invariants: no whole batch is left out; every event keeps its number; the checksums that chain the batches stay as they were, so that
a break in the chain stays visible.
"""

from dataclasses import replace
from pathlib import Path

from codec import archive as container
from codec.archive import Head
from codec.gap import Gap
from codec.parts import checksum_of
from consumer.archive.reading.reader import ArchiveFile, events_or_none
from consumer.archive.reading.survey import Survey
from consumer.archive.reading.tombstones import is_removed
from consumer.archive.writing.index import ArchiveIndex
from consumer.archive.writing.sealing import digest
from consumer.disk.durable import Disk


def rebuild(disk: Disk, found: Survey, fresh: Path, lost: list[Gap], original: str | None = None) -> None:
    """Write the whole batches of a damaged file to `fresh`, with a footer, and sync it. Raises OSError.

    `lost`: the gaps for the footer; `original`: the digest of the file as it was sealed, if it is known.
    """
    head_raw = found.head_raw or container.encode_head(_head_of(found))
    fresh.unlink(missing_ok=True)  # left by a repair that did not end
    fd = disk.create(fresh)
    try:
        disk.append(fd, head_raw)
        _copy_batches(disk, fd, found)
        index = index_of(replace(found, head_raw=head_raw))
        disk.append(fd, index.encode_end(len(head_raw), lost, original or digest(found.path), _removed(found)))
        disk.sync(fd)
        disk.make_read_only(fd)
    finally:
        disk.close(fd)


def index_of(found: Survey) -> ArchiveIndex:
    """The index of the whole batches of a file, without filters: the events are not decoded."""
    index = ArchiveIndex(checksum_of(found.head_raw))
    for batch in found.batches:
        index.add(batch.header, None)
    return index


def _copy_batches(disk: Disk, fd: int, found: Survey) -> None:
    with ArchiveFile(found.path) as archive:
        for batch in found.batches:
            frame = archive.read(batch.offset + container.BATCH_HEADER_BYTES, batch.header.compressed)
            disk.append(fd, container.encode_batch_header(batch.header) + frame)


def _removed(found: Survey) -> int:
    """How many events of the file `compact` has removed. Only a file that was rewritten can have any."""
    if found.footer and not found.footer.removed:
        return 0
    with ArchiveFile(found.path) as archive:
        return sum(is_removed(event) for batch in found.batches for event in events_or_none(archive, batch))


def _head_of(found: Survey) -> Head:
    assert found.id is not None, "only archives with a name are rebuilt"
    return Head(found.id.instance, found.id.sequence, found.batches[0].header.first_arrived_us, "")
