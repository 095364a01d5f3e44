"""The newest events, and what is archived after them: across rolls, instances that come and go, and directories that come late.

Role: `streams` finds archives, `newest` has the events that arrived last, `cursor` reads on; this joins them. Invariants: the events of an
instance come in the order of its archives; a cursor leaves an archive only when its end was read, or when its writer has
ended and the next one has begun; an archive that cannot be read is named once, and delays no archive after it.
"""

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

from codec.event import Event
from consumer.archive import naming
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.catalog import Wanted, look_up
from consumer.archive.reading.duplicates import Duplicates
from consumer.archive.reading.reader import ArchiveFile
from consumer.errors import DeedboxError
from consumer.follow.cursor import Cursor
from consumer.follow.newest import Candidate, Newest, shown
from consumer.follow.streams import Stream, Streams
from consumer.query.query import Judge, Query
from consumer.query.search import Found
from consumer.watch.backend import Backend

_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # errors of this process or machine: they say nothing of an archive


class Tail:
    """`newest` first, then `read` again and again. `faults` are what could not be read, until they are taken."""

    def __init__(self, paths: Sequence[Path], query: Query | None = None) -> None:
        self.faults: list[str] = []
        self.streams = Streams(paths)
        self._query = query or Query()
        self.duplicates = Duplicates(self._query.duplicates)
        self._judge = Judge(self._query, self.faults.append)

    def _accepts(self, event: Event, position: str) -> bool:
        return self._judge(event, position) and self.duplicates.shows(event)

    def newest(self, count: int) -> list[Found]:
        """The events that arrived last, in the order of their arrival; `read` goes on exactly after the archives' ends."""
        self._look(everywhere=True)
        candidates = [one for stream in list(self.streams.known.values()) for one in self._enter(stream)]
        if not count:
            return []
        newest = Newest(count, self._query.wanted, self._accepts)
        found = newest.of(candidates)
        self.faults += newest.faults
        return found

    def _enter(self, stream: Stream) -> list[Candidate]:
        """Set the cursor of a stream to where its newest archive ends; gives all its archives."""
        last = max(stream.waiting)
        candidates = [
            Candidate(path, ArchiveId(stream.key.instance, sequence))
            for sequence, path in stream.waiting.items()
            if sequence != last
        ]
        id = ArchiveId(stream.key.instance, last)
        try:
            candidates.append(self._enter_last(stream, stream.waiting[last], id))
            stream.waiting.clear()
        except (OSError, DeedboxError) as error:
            self._name(stream, shown(stream.waiting[last], error))
            stream.waiting = {last: stream.waiting[last]}
            stream.reached = last - 1
        return candidates

    def _enter_last(self, stream: Stream, path: Path, id: ArchiveId) -> Candidate:
        if naming.parse_sealed(path):
            cursor = Cursor(ArchiveFile(path), id)
            cursor.end()
            self._go_to(stream, cursor)
            return Candidate(path, id)
        entry = look_up(path, Wanted())
        cursor = Cursor(ArchiveFile(entry.path), id)
        cursor.skip(entry.batches)
        self._go_to(stream, cursor)
        return Candidate(entry.path, id, entry)

    def read(self) -> Iterator[Found]:
        """What was archived since, in the order of each instance."""
        self._look()
        leaving, self.streams.leaving = self.streams.leaving, []
        try:
            for stream in [*leaving, *sorted(self.streams.known.values(), key=lambda one: one.key)]:
                yield from self._read(stream)
        finally:
            for stream in leaving:
                stream.close()

    def _look(self, everywhere: bool = False) -> None:
        self.streams.look(everywhere)
        self.faults += self.streams.tree.faults
        self.streams.tree.faults.clear()

    def _read(self, stream: Stream) -> Iterator[Found]:
        while stream.cursor is not None or self._advance(stream):
            assert stream.cursor is not None, "it stands in an archive"
            yield from self._read_archive(stream, stream.cursor)
            if not stream.cursor.ended or not self._advance(stream):
                return

    def _read_archive(self, stream: Stream, cursor: Cursor) -> Iterator[Found]:
        """The events after the cursor; it has ended if nothing more can come."""
        try:
            for number, event in cursor.read(self.faults, self._look):
                if self._accepts(event, f"{cursor.id}:{number}"):
                    yield Found(event, f"{cursor.id}:{number}")
        except (OSError, DeedboxError) as error:
            self._name(stream, shown(cursor.path, error))
            if not _is_passed(stream, error):
                return
            cursor.end()
        if not cursor.ended and stream.waiting and cursor.is_finished():
            cursor.end()

    def _advance(self, stream: Stream) -> bool:
        """Go to the next archive of the instance that can be read, if there is one."""
        if stream.waiting and min(stream.waiting) > stream.reached + 1:
            self._look(everywhere=True)  # one between may have been opened and sealed since the last look
        while stream.waiting:
            sequence = min(stream.waiting)
            try:
                self._go_to(stream, Cursor(self._open(stream, sequence), ArchiveId(stream.key.instance, sequence)))
                return True
            except FileNotFoundError:
                self.faults.append(f"{stream.waiting[sequence]}: gone before it was read")
            except OSError as error:
                self._name(stream, shown(stream.waiting[sequence], error))
                if len(stream.waiting) == 1 or error.errno in _OURS:
                    return False
            stream.reached = sequence
            del stream.waiting[sequence]
        return False

    def _open(self, stream: Stream, sequence: int) -> ArchiveFile:
        """Open an archive that may have been sealed, and with that renamed, since it was found. Raises OSError."""
        try:
            return ArchiveFile(stream.waiting[sequence])
        except FileNotFoundError:
            self._look(everywhere=True)
            return ArchiveFile(stream.waiting[sequence])

    def _go_to(self, stream: Stream, cursor: Cursor) -> None:
        stream.cursor, stream.reached = cursor, cursor.id.sequence
        stream.waiting.pop(cursor.id.sequence, None)
        stream.named.clear()

    def _name(self, stream: Stream, fault: str) -> None:
        """Report a fault once, and not at each look."""
        if fault not in stream.named:
            stream.named.add(fault)
            self.faults.append(fault)

    def wait(self, backend: Backend, timeout_s: float) -> None:
        """Until something may have been archived. A directory that is not there yet is waited for in its parent."""
        places = {path if path.is_dir() else path.parent for path in self.streams.tree.roots}
        places.update(self.streams.tree.written())
        try:
            fresh = backend.watch({place for place in places if place.is_dir()})
        except OSError:
            fresh = False  # the kernel has no more watches: the next look is after the timeout
        if not fresh:
            backend.wait_for_changes(timeout_s)

    def close(self) -> None:
        """Close the archives."""
        for stream in [*self.streams.known.values(), *self.streams.leaving]:
            stream.close()
        self.streams.known.clear()


def _is_passed(stream: Stream, error: Exception) -> bool:
    """Whether the rest of an archive is left out after an error: the next one has begun, and the error is that of the archive."""
    return bool(stream.waiting) and not (isinstance(error, OSError) and error.errno in _OURS)
