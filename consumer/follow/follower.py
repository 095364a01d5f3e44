"""A follower reads what is archived, batch by batch, from a position on: across rolls, restarts and instances that come late.

Role: `streams` finds archives, `cursor` reads one, and this goes from one to the next. Invariants: the batches of an instance come in the order
of its archives; a batch comes only after its sync has returned; a cursor leaves an archive only when its end was read, or when its writer has
ended and the next archive has begun; nothing is skipped without a fault, which is reported once.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

from codec.fingerprint import fingerprint
from consumer.archive import naming
from consumer.archive.location import local_only
from consumer.archive.naming import ArchiveId
from consumer.archive.position import Position
from consumer.archive.reading.catalog import Wanted, all_batches, look_up
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.reader import ArchiveFile, open_archive
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.follow.checkpoint import Confirmed, StreamName
from consumer.follow.confirmed_event import check_confirmed, not_there
from consumer.follow.cursor import RECOVERY_S, Cursor, Events, Numbered
from consumer.follow.newest import Candidate
from consumer.follow.streams import UNKNOWN, Key, Stream, Streams
from consumer.watch.backend import Backend

_OF_THE_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # these errors say nothing about an archive


@dataclass(frozen=True, slots=True)
class FollowedBatch:
    """The events of one batch. `last`: its last event, also if that is deleted; `events`: those that are not deleted, with their numbers."""

    key: Key
    archive: ArchiveId
    path: Path
    last: Numbered
    events: Sequence[Numbered]

    def name(self, directory: Path) -> StreamName:
        """The stream of the batch, as a checkpoint of this directory names it."""
        return stream_name(self.key, directory)

    def confirmed(self) -> Confirmed:
        """What a checkpoint keeps if all events of the batch are confirmed."""
        number, event = self.last
        return Confirmed(Position(self.archive.instance, self.archive.sequence, number), fingerprint(event))


def stream_name(key: Key, directory: Path) -> StreamName:
    """The name of a stream in a checkpoint of this directory. Raises Fatal if another stream has the same name."""
    if key.file == UNKNOWN:
        what = f"{key.home}: two different archives of instance {key.instance} have the same sequence"
        raise Fatal(Exit.DAMAGED, what, "a checkpoint cannot keep them apart: move one of them to another directory")
    home = os.fsencode(key.home.relative_to(directory.absolute()))
    return StreamName(home.decode("utf-8", "backslashreplace"), key.instance)


class Follower:
    """Call `start_at_end` or `resume` first if not everything is wanted, then `read` and `wait` again and again.

    `faults`: what could not be read, until the caller clears the list. `patience_s`: a recovery that takes longer is a fault. `confirmed`: with a checkpoint,
    the events after which a stream continues; the caller keeps it up to date.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.patience_s = RECOVERY_S
        self.confirmed: dict[StreamName, Confirmed] = {}
        self._directory: Path | None = None
        self.faults: list[ReadFault] = []
        self.streams = Streams(paths)

    def start_at_end(self) -> list[Candidate]:
        """Set each cursor to the end of what is archived. Return the archives before it."""
        self._look(everywhere=True)
        return [one for stream in list(self.streams.known.values()) for one in self._enter(stream)]

    def _enter(self, stream: Stream) -> list[Candidate]:
        """Set the cursor of a stream to the end of its newest archive. Return all its archives."""
        last = max(stream.waiting)
        instance = stream.key.instance
        candidates = [
            Candidate(path, ArchiveId(instance, sequence))
            for sequence, path in stream.waiting.items()
            if sequence != last
        ]
        try:
            candidates.append(self._enter_last(stream, stream.waiting[last], ArchiveId(instance, last)))
            stream.waiting.clear()
        except (OSError, DeedboxError) as error:
            self._report_once(stream, ReadFault.of(stream.waiting[last], error))
            stream.waiting = {last: stream.waiting[last]}
            stream.reached = last - 1
        return candidates

    def _enter_last(self, stream: Stream, path: Path, id: ArchiveId) -> Candidate:
        if naming.parse_sealed(path):
            cursor = Cursor(ArchiveFile(path), id)
            cursor.end()
            self._go_to(stream, cursor)
            stream.given = id.sequence
            return Candidate(path, id)
        entry = look_up(path, Wanted())
        cursor = Cursor(ArchiveFile(local_only(entry.path, "tail")), id)
        durable = cursor.skip_durable(entry.batches)
        entry.batches[durable:] = []  # `read` returns them when their sync has returned
        self._go_to(stream, cursor)
        stream.given = id.sequence if durable else id.sequence - 1
        return Candidate(entry.path, id, entry)

    def resume(self, confirmed: Mapping[StreamName, Confirmed], directory: Path) -> None:
        """Go on after these events of the directory. Raises Fatal if one of them is gone or another event has its position."""
        self._directory, self.confirmed, self.streams.keeps = directory, dict(confirmed), True
        self._look(everywhere=True)
        streams = {stream_name(key, directory): stream for key, stream in self.streams.known.items()}
        for name, at in sorted(confirmed.items()):
            if name not in streams and not (directory / name.directory).is_dir():
                what = f"is not there: instance {name.instance} is not followed from {at.position} on"
                self.faults.append(ReadFault(directory / name.directory, None, what))
                continue
            self._resume(streams.get(name), at)

    def _resume(self, stream: Stream | None, at: Confirmed) -> None:
        sequence = at.position.sequence
        path = stream.waiting.get(sequence) if stream else None
        if stream is None or path is None:
            raise not_there(at, f"archive {at.position.archive} is not there")
        try:
            archive = open_archive(path)
        except OSError as error:
            raise not_there(at, str(ReadFault.of(path, error))) from error
        try:
            check_confirmed(archive, at)
        except BaseException:
            archive.close()
            raise
        cursor = Cursor(archive, at.position.archive)
        cursor.skip_to(at.position.event + 1, all_batches(archive))
        for before in [one for one in stream.waiting if one < sequence]:
            del stream.waiting[before]
        self._go_to(stream, cursor)
        stream.given = sequence

    def read(self) -> Iterator[FollowedBatch]:
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

    def _read(self, stream: Stream) -> Iterator[FollowedBatch]:
        while stream.cursor is not None or self._advance(stream):
            assert stream.cursor is not None, "it stands in an archive"
            cursor = stream.cursor
            for events in self._read_archive(stream, cursor):
                self._report_missing(stream, cursor)
                stream.given = max(stream.given, cursor.id.sequence)
                yield FollowedBatch(stream.key, cursor.id, cursor.path, events.last, events.kept)
            if not cursor.ended or not self._advance(stream):
                return

    def _read_archive(self, stream: Stream, cursor: Cursor) -> Iterator[Events]:
        """The batches after the cursor; it has ended if no event follows."""
        try:
            yield from cursor.read(partial(self._report_once, stream), self._look)
        except (OSError, DeedboxError) as error:
            self._report_once(stream, ReadFault.of(cursor.path, error))
            if not self._is_passed(stream, error):
                return
            cursor.end()
        if not cursor.ended and cursor.is_gone():
            cursor.end()  # recovery removes an archive without events, and its sequence may be used again
            stream.cursor, stream.reached = None, stream.given
        elif not cursor.ended and stream.waiting:
            report = partial(self._report_once, stream)
            cursor.end_if_finished(report, monotonic(), self.patience_s, self._directory is not None)

    def _is_passed(self, stream: Stream, error: Exception) -> bool:
        """Whether the rest of an archive is left out after an error: the next one has begun, and the error is one of the archive.

        With a checkpoint nothing is left out: the same error may be gone at the next look.
        """
        of_the_machine = isinstance(error, OSError) and error.errno in _OF_THE_MACHINE
        return bool(stream.waiting) and not of_the_machine and self._directory is None

    def _advance(self, stream: Stream) -> bool:
        """Go to the next archive of the instance that can be read, if there is one."""
        if stream.cursor is None and (at := self._confirmed_of(stream)):
            self._resume(stream, at)  # its directory came back, or another one took its place
            return True
        if stream.waiting and min(stream.waiting) > stream.reached + 1:
            self._look(everywhere=True)  # one between may have been opened and sealed since the last look
        while stream.waiting:
            sequence = min(stream.waiting)
            try:
                self._go_to(stream, Cursor(self._open(stream, sequence), ArchiveId(stream.key.instance, sequence)))
                return True
            except FileNotFoundError:
                # It was removed, or its disk is away. The head of the next one shows whether it held events. If it comes back, it is read.
                del stream.waiting[sequence]
                continue
            except OSError as error:
                self._report_once(stream, ReadFault.of(stream.waiting[sequence], error))
                if not self._is_passed(stream, error) or len(stream.waiting) == 1:
                    return False
                stream.complete = sequence  # this loss is reported
            stream.reached = sequence
            del stream.waiting[sequence]
        return False

    def _confirmed_of(self, stream: Stream) -> Confirmed | None:
        """The confirmed event of a stream of which nothing was read since it was found."""
        if self._directory is None or stream.reached:
            return None
        return self.confirmed.get(stream_name(stream.key, self._directory))

    def _open(self, stream: Stream, sequence: int) -> ArchiveFile:
        """Open an archive that may have been sealed, and with that renamed, since it was found. Raises OSError."""
        try:
            return ArchiveFile(stream.waiting[sequence])
        except FileNotFoundError:
            self._look(everywhere=True)
            return ArchiveFile(stream.waiting[sequence])

    def _go_to(self, stream: Stream, cursor: Cursor) -> None:
        if stream.complete is None:
            stream.complete = cursor.id.sequence - 1  # what was before the first archive is not followed
        if stream.cursor is not None and stream.cursor.is_whole:
            stream.complete = max(stream.complete, stream.cursor.id.sequence)
        stream.cursor, stream.reached = cursor, cursor.id.sequence
        stream.waiting.pop(cursor.id.sequence, None)
        stream.reported.clear()

    def _report_missing(self, stream: Stream, cursor: Cursor) -> None:
        """Report if the last archive that holds events before this one was not read to its end. The head of this one names it."""
        if stream.complete is not None and stream.complete < cursor.predecessor < cursor.id.sequence:
            missing = ArchiveId(cursor.id.instance, cursor.predecessor)
            stream.complete = cursor.predecessor  # reported once
            self.faults.append(
                ReadFault(
                    cursor.path, None, f"archive {missing} is not there, or not all of it: the rest is not followed"
                )
            )

    def _report_once(self, stream: Stream, fault: ReadFault) -> None:
        """Report a fault once, and not at each look; also if its archive was sealed, and with that renamed, in the meantime."""
        archive = naming.parse_sealed(fault.path) or naming.parse_open(fault.path) or fault.path
        if (archive, fault.reason) not in stream.reported:
            stream.reported.add((archive, fault.reason))
            self.faults.append(fault)

    def wait(self, backend: Backend, timeout_s: float) -> None:
        """Wait until something may have been archived. For a directory that is not there yet, its parent is watched."""
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
