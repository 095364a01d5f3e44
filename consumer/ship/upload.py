"""Bring one file to one destination, and check that it is there.

Invariants: a file counts as shipped only after a head request has returned the size and the SHA-256 of the local file. An object of an
archive or a digest with other content is never overwritten, except by a rewriting of the same archive. A second shipper of the same
file does no harm: it finds the object, or puts the same bytes again. Nothing is removed at the destination. The side files of an archive
are there before the archive, in the state that they have when its last piece is sent, so that no reader sees a deleted event.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from codec.counted import counted
from consumer.errors import DeedboxError
from consumer.objects.errors import AlreadyThere, ObjectError
from consumer.objects.store import StoredObject
from consumer.ship.compare import Difference, Facts
from consumer.ship.local_archive import LocalArchive
from consumer.ship.local_files import Kind, LocalFile, Stamp, sides_of
from consumer.ship.pacing import Bandwidth
from consumer.ship.plain_file import PlainFile
from consumer.ship.side_lines import union
from consumer.ship.target import Target
from consumer.ship.uploading import uploading
from consumer.ship.witnesses import Witnesses

# A larger file is sent in several parts at the same time, which fill memory and line; so one such file at a time.
LARGE_BYTES = 8 << 20
TRIES_MAX = 3  # another shipper may put the object between the comparison and the put
_State = list[tuple[str, tuple[Stamp, ...]]]  # the stamps of an archive and of its side files, by name


class Stopped(Exception):
    """The upload was interrupted, because the process ends. No object was made."""


class Changed(DeedboxError):
    """The archive was rewritten, or one of its events was deleted, while it was sent. No object was made."""


class Refused(DeedboxError):
    """The object of this name has other content. It is not overwritten."""


class NotThere(ObjectError):
    """The storage accepted the upload, and does not return what was sent."""

    passing = True


@dataclass(frozen=True, slots=True)
class Shipped:
    """A file that is at the destination. `sent`: bytes that were sent for it, 0 if it was there before. `object`: as it was verified."""

    object: StoredObject
    sent: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Uploader:
    """Uploads to one destination. `advance` is called with the size of each piece that is sent.

    All methods raise ObjectError, OSError of the local file, NotAsSealed, Refused, Changed and Stopped.
    """

    directory: Path
    target: Target
    witnesses: Witnesses
    bandwidth: Bandwidth
    stop: threading.Event
    advance: Callable[[int], None]
    large: threading.Lock = field(default_factory=threading.Lock)

    def ship(self, file: LocalFile) -> Shipped:
        """Upload a file, unless it is there already."""
        ships = {Kind.ARCHIVE: self._ship_archive, Kind.SIDE: self._ship_side, Kind.DIGEST: self._ship_digest}
        for left in reversed(range(TRIES_MAX)):
            try:
                return ships[file.kind](file)
            except AlreadyThere:
                continue  # another shipper has put it meanwhile: compare
            except Changed:
                if not left:
                    raise
        raise NotThere(self.target.url(file.name), "the storage says that the object exists, and does not return it")

    def find(self, file: LocalFile) -> Shipped | None:
        """The object of an archive, if it is there and the same. Nothing is sent. None if it must be shipped."""
        with LocalArchive(file.path, self.witnesses.sha256s(file.path)) as archive:
            return self._compared(archive, file)[0]

    def _compared(self, archive: LocalArchive, file: LocalFile) -> tuple[Shipped | None, StoredObject | None]:
        """The object as it is there, if it is the same; and the object that may be replaced, if there is one."""
        difference, info = self.target.difference(archive, file.name)
        if info is None or difference is Difference.REWRITTEN:
            return None, info
        if difference is not Difference.SAME:
            raise self._refused(file, "it is not this archive")
        return Shipped(info), info

    def _ship_archive(self, file: LocalFile) -> Shipped:
        stamp = file.stamps()  # before the file is opened, so that a later rewriting is noticed
        with LocalArchive(file.path, self.witnesses.sha256s(file.path)) as archive:
            same, info = self._compared(archive, file)
            if same:
                return same
            if info is not None and (reason := self.target.check_replaceable(archive, info)):
                raise self._refused(file, reason)
            with uploading(self.directory, file.path):
                facts = archive.read_whole()
                state = [(file.name, stamp), *self._ship_sides(file)]
                pieces = self._unchanged(file, state, archive.pieces())
                shipped = self._put(file, facts, pieces, only_new=info is None)
        if self._state(file) != state:
            self._ship_sides(file)  # an event was deleted during the last request
        return shipped

    def _ship_sides(self, file: LocalFile) -> _State:
        """Bring the side files of an archive to the destination. Returns the state in which they are there, or an earlier one."""
        sides = sides_of(self.directory, file.path)
        state = [(side.name, side.stamps()) for side in sides]
        for side in sides:
            self.ship(side)
        return state

    def _state(self, file: LocalFile) -> _State:
        return [(one.name, one.stamps()) for one in (file, *sides_of(self.directory, file.path))]

    def _unchanged(self, file: LocalFile, state: _State, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces. Raises Changed before the last one if the archive or its side files are not in this state any more.

        A large archive is on its way for hours: without this, it would appear with events that were deleted or removed meanwhile.
        """
        last = next(pieces)
        for piece in pieces:
            yield last
            last = piece
        if self._state(file) != state:
            raise Changed(f"{file.path}: events were deleted while it was sent", "nothing: it is sent again later")
        yield last

    def _ship_digest(self, file: LocalFile) -> Shipped:
        with PlainFile(file.paths) as plain:
            found, same = self._plain_there(file, facts := plain.read_whole())
            if found is not None and not same:
                raise self._refused(file, "it is not this digest")
            return Shipped(found) if found else self._put(file, facts, plain.pieces(), only_new=True)

    def _ship_side(self, file: LocalFile) -> Shipped:
        """Bring the lines of side files to the object. It keeps those that it has in addition, see `side_lines`."""
        with PlainFile(file.paths) as plain:
            found, same = self._plain_there(file, facts := plain.read_whole())
            if found and same:
                return Shipped(found)
            there = self.target.store.get(found.url) if found else b""
            joined = union(there, b"".join(plain.pieces()))
        if found and joined == there:
            return Shipped(found)
        facts = Facts(len(joined), hashlib.sha256(joined).hexdigest())
        shipped = self._put(file, facts, iter([joined] if joined else []), only_new=found is None)
        with PlainFile(file.paths) as plain:
            plain.read_whole()
            if union(joined, b"".join(plain.pieces())) != joined:  # and another shipper may have put them before
                raise Changed(f"{file.path}: lines were added while it was sent", "nothing: it is sent again")
        return shipped

    def _plain_there(self, file: LocalFile, local: Facts) -> tuple[StoredObject | None, bool]:
        """The object of a side file or digest, and whether it has the same content."""
        if (found := self.target.content_facts(file.name)) is None:
            return None, False
        info, there = found
        return info, (there.size, there.sha256) == (local.size, local.sha256)

    def _refused(self, file: LocalFile, reason: str) -> Refused:
        what = f"{self.target.url(file.name)}: an object of this name is there, and {reason}; it is not overwritten"
        return Refused(what, "compare both with `deedbox verify`, and move the wrong one away")

    def _put(self, file: LocalFile, facts: Facts, pieces: Iterator[bytes], only_new: bool) -> Shipped:
        """Put the object, and check it with a head request."""
        url = self.target.url(file.name)
        with self.large if facts.size > LARGE_BYTES else nullcontext():
            begin = time.monotonic()
            self.target.store.put_stream(url, self._paced(pieces), facts.size, facts.attributes, only_new)
        found = self.target.content_facts(file.name)
        if found is None:
            raise NotThere(url, "it was put, and there is no object of this name")
        info, there = found
        if there.size != facts.size:
            raise NotThere(url, f"it was put, and has {counted(there.size, 'byte')}, {facts.size} expected")
        if there.sha256 != facts.sha256:
            raise NotThere(url, f"it was put, and has the SHA-256 {there.sha256}, {facts.sha256} expected")
        return Shipped(info, facts.size, time.monotonic() - begin)

    def _paced(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            wait_s = self.bandwidth.reserve(len(piece), time.monotonic())
            if self.stop.wait(wait_s) if wait_s > 0 else self.stop.is_set():
                raise Stopped
            yield piece
            self.advance(len(piece))
