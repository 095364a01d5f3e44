"""Restore archives from object storage into a directory, verified.

Invariants: a file gets its name only after its SHA-256 is that of the shipped one and a reader has read it whole, and it is durable then.
A file that exists is never overwritten; one with the same content counts as restored, so that a second run continues the first. Only the
files beside archives get the lines that the destinations have and they do not. An archive is restored only if its deleted events could be
restored before it. One process at a time restores into a directory.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from consumer.archive import naming
from consumer.archive.checking.archive_check import check_archive
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.listing import find_archives, id_of
from consumer.archive.reading import tombstones
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.file_range import FileRange
from consumer.archive.reading.in_threads import in_threads
from consumer.archive.reading.object_source import ObjectSource
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import Tombstones
from consumer.disk.durable import Disk, held, open_regular
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.objects.stores import store_of
from consumer.ship.restore_plan import Copy, RestorePlan
from consumer.ship.restored_side_files import merge_lines

AT_ONCE = 4  # files; of each, several requests are on their way
_LOOK = "the object is damaged: look for another copy, or read what is left of it in place"
FETCHING = ".fetching"  # the end of the name of a file that is not whole yet
LOCK = ".fetch.lock"  # in the directory; no name of an instance begins with a dot


class RestoreOutcome(StrEnum):
    """The result for one object."""

    RESTORED = "restored"
    THERE = "was there"
    FAILED = "not restored"


@dataclass(frozen=True)
class Restored:
    """The result for one object, with the reason if it failed."""

    copy: Copy
    outcome: RestoreOutcome
    reason: str = ""


class Restorer:
    """Restores the objects of a plan. `present`: the archives that the directory had before, by their ids."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._directory = directory
        present = find_archives([directory]) if directory.is_dir() else []
        self._present = {str(id): path for path in present if (id := id_of(path)) is not None}
        self._waiting: set[str] = set()  # archives whose deleted events could not be restored

    def run(self, plan: RestorePlan) -> Iterator[Restored]:
        """The result for each object of the plan, in order. Raises OSError, and Fatal if another process restores into the directory."""
        self._disk.make_directory(self._directory)
        with held(self._disk, self._directory / LOCK) as free:
            if not free:
                what = f"{self._directory}: another process restores archives into it"
                raise Fatal(Exit.INSTANCE, what, "wait until it has ended, and fetch again")
            yield from self._side_files(plan.beside)
            for copies in (plan.archives, plan.digests):
                yield from in_threads(self.restored, copies, AT_ONCE)

    def _side_files(self, copies: Iterable[Copy]) -> Iterator[Restored]:
        """The results for the files beside archives. Notes the archives whose deleted events would be shown."""
        for result in in_threads(self.merged, copies, AT_ONCE):
            name = PurePosixPath(result.copy.url.name)
            if result.outcome is RestoreOutcome.FAILED and name.suffix == tombstones.SUFFIX:
                self._waiting.add(name.stem)
            yield result

    def merged(self, copy: Copy) -> Restored:
        """Restore a file beside an archive: beside the archive that is here, which may be in another folder."""
        archive = self._present.get(PurePosixPath(copy.url.name).stem, copy.path)
        try:
            changed = merge_lines(self._disk, copy.url, archive.with_name(copy.path.name))
        except (DeedboxError, OSError) as error:
            return _failed(copy, error)
        return Restored(copy, RestoreOutcome.RESTORED if changed else RestoreOutcome.THERE)

    def restored(self, copy: Copy) -> Restored:
        """Restore an archive or a digest."""
        try:
            id = naming.parse_sealed(copy.url)
            there = self._present.get(str(id), copy.path)
            if there.exists():
                return self._compared(copy, there)
            if str(id) in self._waiting:
                do = "fetch again when that file can be restored"
                raise DeedboxError(
                    f"deleted events of it would be shown, because {id}{tombstones.SUFFIX} is missing", do
                )
            self._disk.make_directory(copy.path.parent)
            self._restore(copy, is_archive=id is not None)
        except (DeedboxError, OSError) as error:
            return _failed(copy, error)
        return Restored(copy, RestoreOutcome.RESTORED)

    def _compared(self, copy: Copy, there: Path) -> Restored:
        """The result if a file is there: it is complete if it has the same content. Raises OSError."""
        with open(open_regular(there, os.O_RDONLY), "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found == _expected(copy):
            return Restored(copy, RestoreOutcome.THERE)
        reason = (
            f"{there} exists with other content; it was not overwritten: move it away, or restore to another directory"
        )
        return Restored(copy, RestoreOutcome.FAILED, reason)

    def _restore(self, copy: Copy, is_archive: bool) -> None:
        """Raises OSError and DeedboxError; then there is no file."""
        fresh = copy.path.with_name(f".{copy.path.name}{FETCHING}")
        fresh.unlink(missing_ok=True)  # of a run that was killed
        fd = self._disk.create(fresh)
        try:
            found = self._download(copy, fd)
            if found != (expected := _expected(copy)):
                what = f"the object has SHA-256 {found}, {expected} expected"
                raise DeedboxError(what, "it was changed after it was shipped: look for another copy")
            if is_archive:
                _check_readable(fresh, naming.parse_sealed(copy.url))
                self._disk.make_read_only(fd)
            self._disk.check(fd, fresh, copy.size)
            self._disk.publish(fd, fresh, copy.path, replace=False)
        finally:
            with suppress(FileNotFoundError):
                fresh.unlink()
            self._disk.close(fd)

    def _download(self, copy: Copy, fd: int) -> str:
        """Write the object to a file. Returns its SHA-256."""
        source = ObjectSource(copy.url)
        source.plan([(0, source.size)])
        content, written = hashlib.sha256(), 0
        try:
            for piece in FileRange(source.read, 0, source.size):
                self._disk.append(fd, piece)
                content.update(piece)
                written += len(piece)
        finally:
            source.close()
        if written != source.size:
            raise DeedboxError(f"{written} bytes received, {source.size} expected", "fetch it again")
        return content.hexdigest()


def _failed(copy: Copy, error: DeedboxError | OSError) -> Restored:
    if isinstance(error, DeedboxError):
        return Restored(copy, RestoreOutcome.FAILED, f"{error}".removeprefix(f"{copy.url}: "))
    return Restored(copy, RestoreOutcome.FAILED, str(ReadFault.of(copy.path, error)))


def _expected(copy: Copy) -> str:
    """The SHA-256 of an object: its attribute, or of an object that another program copied, its content. Raises ObjectError."""
    store = store_of(copy.url)
    found = store.head(copy.url)
    if found is not None and (sha256 := found[1].get("sha256")):
        return sha256
    source = ObjectSource(copy.url)
    source.plan([(0, source.size)])
    try:
        return _sha256(FileRange(source.read, 0, source.size))
    finally:
        source.close()


def _sha256(pieces: FileRange) -> str:
    content = hashlib.sha256()
    for piece in pieces:
        content.update(piece)
    return content.hexdigest()


def _check_readable(path: Path, id: naming.ArchiveId | None) -> None:
    """Read an archive whole, as `verify` does. Gaps that a repair recorded are known. Raises DeedboxError for any other fault, and OSError."""
    with ArchiveFile(path) as archive:
        verdict = check_archive(archive, Tombstones())
        if archive.head_id != id:
            raise DeedboxError(f"its head names archive {archive.head_id}, its name {id}", _LOOK)
    for fault in verdict.faults:
        if fault.code is not FaultCode.REPAIRED_GAP:
            raise DeedboxError(f"at {fault.offset}: {fault.reason}", _LOOK)
