"""Recover open archives after a crash: torn ends, archives of dead instances, damage in the middle.

Invariants: no whole batch is given up, and no byte is thrown away: torn ends go to `….torn`, damaged originals to
`….damaged`. An archive that cannot be recovered now (a full disk) is left unchanged and reported as deferred. The caller holds the lock of the instance; a free lock on an open archive then means that its owner is dead.
"""

import hashlib
import os
from dataclasses import dataclass, field, replace
from functools import partial
from operator import eq
from pathlib import Path

from codec import archive as container
from codec.archive import Head
from codec.errors import CodecError
from codec.gap import Gap, GapKind
from codec.parts import checksum_of
from consumer.archive import naming
from consumer.archive.layout import Layout
from consumer.archive.reading.file_range import FileRange, is_zeros
from consumer.archive.reading.losses import Expected, losses
from consumer.archive.reading.reader import ArchiveFile, events_or_none
from consumer.archive.reading.survey import Survey, survey
from consumer.archive.reading.tombstones import is_removed
from consumer.archive.watermark import read_watermark
from consumer.archive.writing.writer import Index, Sealed, publish
from consumer.disk.durable import Disk, open_regular


@dataclass(frozen=True, slots=True)
class Finding:
    """What recovery did with a file. `outcome`: whole, sealed, mended, empty, gone, held or deferred."""

    path: Path
    outcome: str
    events: int = 0
    gaps: list[Gap] = field(default_factory=list)
    sealed: Sealed | None = None
    reason: str = ""
    lost: list[Gap] = field(default_factory=list)  # the events that a repair could not keep


@dataclass(frozen=True, slots=True)
class Abandoned:
    """An open archive that waits for recovery. `file`: device and inode of the file that its writer had, and `committed`: how
    many bytes of it were durable; None for an archive of an earlier life. `events`: how many were in them."""

    path: Path
    committed: int | None = None
    file: tuple[int, int] | None = None
    events: int = 0


def recover(disk: Disk, layout: Layout, path: Path, given_up: Abandoned | None = None) -> Finding:
    """Seal an open archive whose owner is dead or has given it up."""
    try:
        fd = disk.open(path)
    except FileNotFoundError:
        return Finding(path, "gone", reason="sealed in the meantime")
    except OSError as error:
        return Finding(path, "deferred", reason=str(error))
    try:
        if not disk.try_lock(fd):
            return Finding(path, "held", reason="somebody holds its lock")
        found = os.fstat(fd)
        surveyed = survey(path, _known_bytes(found, given_up))
        if surveyed.file != (found.st_dev, found.st_ino):
            return Finding(path, "deferred", reason="replaced by another file while it was read")
        return _mend(disk, layout, fd, surveyed, given_up.events if given_up else 0)
    except (OSError, CodecError) as error:  # CodecError: with a foreign archive, its footer may be too large
        return Finding(path, "deferred", reason=str(error))
    finally:
        disk.close(fd)


def _known_bytes(found: os.stat_result, given_up: Abandoned | None) -> int | None:
    """How many bytes of the file are known to be durable; None if this process did not write it, or if it was sealed before."""
    if given_up is None or given_up.file != (found.st_dev, found.st_ino) or found.st_nlink > 1:
        return None
    return given_up.committed


def _mend(disk: Disk, layout: Layout, fd: int, found: Survey, committed: int) -> Finding:
    if newer := next((gap for gap in found.gaps if gap.kind is GapKind.NEWER), None):
        return Finding(found.path, "deferred", found.events, found.gaps, reason=newer.reason)
    if not found.batches:
        return _set_empty_aside(disk, found)
    if found.damaged and found.seal is None:
        return _rebuild_open(disk, layout, found, committed)
    if found.seal is None:
        _cut_torn_tail(disk, fd, found)
        disk.append(fd, _index(found).encode_end(len(found.head_raw), _lost(found, committed)))
    disk.sync(fd)  # also where the end was there already: nobody knows whether it was synced
    sealed = _publish(disk, layout, fd, found)
    return Finding(found.path, "sealed", found.events, found.gaps, sealed)


def _set_empty_aside(disk: Disk, found: Survey) -> Finding:
    if found.size > len(found.head_raw):
        _keep(disk, found.path, 0, found.size)
    disk.remove(found.path)
    return Finding(found.path, "empty", 0, found.gaps)


def _keep(disk: Disk, path: Path, offset: int, size: int) -> None:
    """Keep bytes aside before they are cut off. The same bytes again give the same file."""
    aside = path.with_name(f"{path.name}.{offset}{naming.TORN_SUFFIX}")
    with ArchiveFile(path) as archive:
        torn = FileRange(archive.read, offset, size)
        if not _holds(aside, torn):
            disk.replace_with(free_name(aside), partial(_copy, disk, torn))


def _copy(disk: Disk, torn: FileRange, fd: int) -> None:
    """A piece of zeros becomes a hole, so that the copy of a sparse file is sparse."""
    for piece in torn:
        if is_zeros(piece):
            disk.truncate(fd, os.lseek(fd, len(piece), os.SEEK_CUR))
        else:
            disk.append(fd, piece)


def _holds(path: Path, stretch: FileRange) -> bool:
    """Whether a file holds exactly these bytes."""
    if not _is_regular(path) or path.stat().st_size != stretch.size:
        return False
    with ArchiveFile(path) as kept:
        return all(map(eq, FileRange(kept.read, 0, stretch.size), stretch))


def _cut_torn_tail(disk: Disk, fd: int, found: Survey) -> None:
    if found.torn is not None:
        _keep(disk, found.path, found.torn.offset, found.torn.size)
        disk.truncate(fd, found.torn.offset)
        # Made durable by the sync of the footer that is appended next.


def _index(found: Survey) -> Index:
    index = Index(checksum_of(found.head_raw))
    for batch in found.batches:
        index.add(batch.header, None)
    return index


def _lost(found: Survey, committed: int) -> list[Gap]:
    """The gaps of an open archive that may have been acknowledged, for the footer. `committed`: events that are known to have been."""
    assert found.id is not None, "an open archive has a name"
    mark = read_watermark(found.path.parent, found.id.instance)
    if mark is not None and mark.sequence == found.id.sequence:
        committed = max(committed, mark.events)
    return losses(found, Expected(committed, exact=False) if committed else None, sealed=False)


def _publish(disk: Disk, layout: Layout, fd: int, found: Survey) -> Sealed:
    target = _target(layout, found)
    if _is_regular(target) and target.samefile(found.path):  # a link to the file would be all that is left of it
        disk.remove(found.path)  # a crash between link and unlink left both names
    else:
        publish(disk, fd, found.path, target)
    return _sealed(found, target)


def _target(layout: Layout, found: Survey) -> Path:
    assert found.id is not None, "an open archive has a name"
    headers = [batch.header for batch in found.batches]
    first, last = min(h.first_arrived_us for h in headers), max(h.last_arrived_us for h in headers)
    return layout.directory / naming.sealed_name(layout.template, found.id, first, last)


def _sealed(found: Survey, target: Path) -> Sealed:
    assert found.id is not None, "see _target"
    return Sealed(found.id, target, found.end, target.stat().st_size, digest(target))


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(open_regular(path, os.O_RDONLY, follow=True), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rebuild(disk: Disk, found: Survey, fresh: Path, lost: list[Gap], original: str | None = None) -> None:
    """Write the whole batches of a damaged file to `fresh` and seal it there; `lost` are the gaps for its footer,
    and `original` is the digest of the file as it was sealed, if it is known.

    The chain of the batches stays as it was, so that a break in it shows.
    """
    head_raw = found.head_raw or container.encode_head(_head_of(found))
    fresh.unlink(missing_ok=True)  # left by a mending that did not end
    fd = disk.create(fresh)
    try:
        disk.append(fd, head_raw)
        with ArchiveFile(found.path) as archive:
            for batch in found.batches:
                frame = archive.read(batch.offset + container.BATCH_HEADER_BYTES, batch.header.compressed)
                disk.append(fd, container.encode_batch_header(batch.header) + frame)
        index = _index(replace(found, head_raw=head_raw))
        disk.append(fd, index.encode_end(len(head_raw), lost, original or digest(found.path), _removed(found)))
        disk.sync(fd)
        disk.make_read_only(fd)
    finally:
        disk.close(fd)


def _removed(found: Survey) -> int:
    """How many events of the file `compact` has taken out. Only a file that was rewritten can have any."""
    if found.footer and not found.footer.removed:
        return 0
    with ArchiveFile(found.path) as archive:
        return sum(is_removed(event) for batch in found.batches for event in events_or_none(archive, batch))


def _head_of(found: Survey) -> Head:
    assert found.id is not None, "only archives with a name are rebuilt"
    return Head(found.id.instance, found.id.sequence, found.batches[0].header.first_arrived_us, "")


def _rebuild_open(disk: Disk, layout: Layout, found: Survey, committed: int) -> Finding:
    target = _target(layout, found)
    if not _is_rebuilt(target, found):  # else a repair ended after this step, and before the next
        fresh = found.path.with_name(found.path.name + ".mending")
        rebuild(disk, found, fresh, _lost(found, committed))
        disk.make_directory(target.parent)
        disk.rename(fresh, target)
    disk.rename(found.path, found.path.with_name(found.path.name + naming.DAMAGED_SUFFIX))
    return Finding(found.path, "repaired", found.events, found.gaps, _sealed(found, target))


def _is_rebuilt(target: Path, found: Survey) -> bool:
    if not _is_regular(target):
        return False
    footer = survey(target).footer
    return footer is not None and footer.rewritten_from == digest(found.path)


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def free_name(wanted: Path) -> Path:
    """A name to keep something aside under, beside what is kept already."""
    name, number = wanted, 1
    while os.path.lexists(name):
        number += 1
        name = wanted.with_name(f"{wanted.name}.{number}")
    return name
