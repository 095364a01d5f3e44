"""Write a sealed archive again: without its deleted events, or with its batches merged.

Invariants: at every moment the archive exists under its name, whole, either as it was or rewritten. A crash leaves one of the two, and
files that the next rewriting removes. Every event keeps its number. The footer names the SHA-256 of the original, so that
`verify` accepts the archive as the predecessor of the next one. The new file is locked while it is written, so that only one process
rewrites an archive. A reader that has the old file open can read it to its end.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from codec import archive as container
from codec.counted import counted
from codec.gap import Gap, GapKind
from codec.parts import checksum_of
from consumer.archive import naming
from consumer.archive.reading.batches import Slot, encode_batches
from consumer.archive.reading.reader import ArchiveFile, Part, Seal, StoredBatch
from consumer.archive.reading.tombstones import LEVELS_MAX, Tombstones, is_removed, removed
from consumer.archive.writing.index import ArchiveIndex
from consumer.archive.writing.sealing import digest
from consumer.disk.durable import Disk, is_held

IS_LINK = "is a symbolic link, and would become a file of its own: give the path of the file itself"
_FRESH, _OLD = ".compacting", ".uncompacted"


class NotRewritable(Exception):
    """The archive must not be rewritten, or cannot be rewritten now. The text is the reason."""


class BeingRewritten(NotRewritable):
    """Another process is rewriting the archive."""

    def __init__(self) -> None:
        super().__init__("another process rewrites it: try again when that has ended")


@dataclass(frozen=True, slots=True)
class Change:
    """The changes: deleted events are removed, and batches are merged to frames of up to `frame_raw` bytes of records (0: none are merged).

    `level` and `tuning`: the compression of new frames.
    """

    tombstones: Tombstones
    frame_raw: int
    level: int
    tuning: Mapping[int, int] | None = None


def grouped(batches: Sequence[StoredBatch], frame_raw: int) -> Iterator[list[StoredBatch]]:
    """Groups of batches that become one batch each, in order. No event is missing between two batches of a group."""
    group: list[StoredBatch] = []
    raw = 0
    for batch in batches:
        before = group[-1].header if group else None
        follows = before is not None and before.first_event + before.events == batch.header.first_event
        if group and (not follows or raw + batch.header.raw > frame_raw):
            yield group
            group, raw = [], 0
        group.append(batch)
        raw += batch.header.raw
    if group:
        yield group


def rewrite(disk: Disk, path: Path, change: Change) -> int:
    """Rewrite an archive durably. Returns how many bytes that saved. Raises NotRewritable and OSError; the archive is then as it was."""
    if path.is_symlink():
        raise NotRewritable(IS_LINK)
    if other := _open_name_of(path):
        raise NotRewritable(
            f"is also there as {other}, because its sealing did not end: run repair, or start its instance"
        )
    with _fresh_file(disk, path) as (fd, fresh), ArchiveFile(path) as archive:
        parts = [_without_frame(part) for part in archive.parts()]  # checks every frame against its checksum
        if reason := damage(parts):
            raise NotRewritable(reason)
        seal = parts[-1]
        assert isinstance(seal, Seal), "see damage"
        _write(disk, fd, archive, [part for part in parts if isinstance(part, StoredBatch)], seal, change)
        disk.sync(fd)
        disk.make_read_only(fd)
        _check_own(disk, fd, fresh)
        before, after = path.stat().st_size, fresh.stat().st_size
        aside = path.with_name(path.name + _OLD)
        disk.replace_keeping(path, fresh, aside)
        disk.remove(aside)
    return before - after


def _open_name_of(path: Path) -> Path | None:
    """The open name of the same file, which a power cut may have left as well as the sealed name. Rewriting would make two archives of one."""
    if (id := naming.parse_sealed(path)) is None:
        return None
    names = [parent / naming.open_name(id) for parent in [*path.absolute().parents][:LEVELS_MAX]]
    return next((name for name in names if name.is_file() and name.samefile(path)), None)


@contextmanager
def _fresh_file(disk: Disk, path: Path) -> Iterator[tuple[int, Path]]:
    """A new locked file in the directory of the archive. Raises NotRewritable if another process has it."""
    remove_leftovers(disk, path)
    fresh = path.with_name(path.name + _FRESH)
    try:
        fd = disk.create(fresh)
    except FileExistsError:
        raise BeingRewritten from None
    try:
        yield fd, fresh
    finally:
        try:
            with suppress(
                NotRewritable
            ):  # raised too when the archive was replaced: the new file then has the name of the archive
                _check_own(disk, fd, fresh)
                disk.remove(fresh)
        finally:
            disk.close(fd)


def _check_own(disk: Disk, fd: int, fresh: Path) -> None:
    """Check that the new file still has its name. Raises BeingRewritten if another process removed it as a leftover before it was locked.

    The file of that name may then be half written, and must not replace an archive.
    """
    try:
        disk.check(fd, fresh, os.fstat(fd).st_size)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESTALE):
            raise
        raise BeingRewritten from error


def remove_leftovers(disk: Disk, path: Path) -> None:
    """Remove the files of a rewriting of this archive that did not end. Raises OSError."""
    fresh, old = (path.with_name(path.name + suffix) for suffix in (_FRESH, _OLD))
    if os.path.lexists(fresh) and is_held(fresh):
        return
    for leftover in (fresh, old):
        if os.path.lexists(leftover):
            with suppress(FileNotFoundError):  # another process removed it
                disk.remove(leftover)


def damage(parts: Sequence[Part]) -> str:
    """Why an archive must not be rewritten: the new file would hide its losses. Empty if it may be rewritten."""
    if newer := next((part for part in parts if isinstance(part, Gap) and part.kind is GapKind.NEWER), None):
        return newer.reason
    end = parts[-1] if parts else None
    if not isinstance(end, Seal) or any(isinstance(part, Gap) and part.size for part in parts):
        return "repair it first"
    if [row.header for row in end.rows] != [part.header for part in parts if isinstance(part, StoredBatch)]:
        return "its footer names other batches: repair it first"
    return ""


def _without_frame(part: Part) -> Part:
    return StoredBatch(part.offset, part.header) if isinstance(part, StoredBatch) else part


def _write(
    disk: Disk, fd: int, archive: ArchiveFile, batches: Sequence[StoredBatch], seal: Seal, change: Change
) -> None:
    """Write the whole archive, with a new chain of checksums."""
    index = ArchiveIndex(checksum_of(archive.head_raw))
    disk.append(fd, archive.head_raw)
    gone = 0
    for group in grouped(batches, change.frame_raw) if change.frame_raw else ([batch] for batch in batches):
        gone += _write_group(disk, fd, archive, group, index, change)
    if index.events != seal.footer.events:
        raise NotRewritable(
            f"it holds {counted(index.events, 'event')}, and its footer counts {seal.footer.events}: repair it first"
        )
    before = seal.footer.rewritten_from or digest(archive.path)
    disk.append(fd, index.encode_end(len(archive.head_raw), seal.footer.gaps, before, gone))


def _write_group(
    disk: Disk, fd: int, archive: ArchiveFile, group: Sequence[StoredBatch], index: ArchiveIndex, change: Change
) -> int:
    """Write a group as one batch, or a single unchanged batch as it is. Returns how many removed events it holds."""
    header = group[0].header
    events = [event for batch in group for event in archive.with_frame(batch).events()]
    hidden = change.tombstones.events
    kept = [removed(event) if number in hidden else event for number, event in enumerate(events, header.first_event)]
    number = (
        len(index.rows) if change.frame_raw else header.number
    )  # if batches are missing, the numbers keep the holes
    if len(group) == 1 and kept == events:
        raw = container.encode_batch_header(replace(header, number=number, previous=index.chain_checksum, check=0))
        disk.append(fd, raw)
        for piece in archive.with_frame(group[0]).frame or ():
            disk.append(fd, piece)
        index.add(container.decode_batch_header(raw), kept)
    else:
        slot = Slot(str(archive.id), number, header.first_event, index.chain_checksum)
        for batch in encode_batches(kept, slot, change.level, change.tuning):
            disk.append(fd, batch.raw)
            index.add(batch.header, batch.events)
    return sum(map(is_removed, kept))
