"""A stream is the archives of one instance in one directory, in the order of their sequences.

Invariants: two directories never share a stream, even if their instances have the same name. If another directory takes the place of a
directory, its streams are new. Memory holds the archives that a stream has still to read, and each stream as long as one of its archives exists.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from consumer.archive import naming
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import head_of
from consumer.disk.durable import is_held
from consumer.follow.cursor import Cursor
from consumer.follow.tree import Tree

UNKNOWN = (0, 0)  # the user named a file, and no directory
LOOK_S = 2.0  # all directories are looked at this often: an archive may appear where no open archive announced it


class Key(NamedTuple):
    """Identifies a stream. `home`: the directory, `file`: its device and inode."""

    home: Path
    file: tuple[int, int]
    instance: str


@dataclass
class Stream:
    """`waiting`: archives that have still to be read, by sequence. `cursor`: in the archive that is read, or was read last.

    `reached`: the highest sequence that was read or left out. `given`: the highest sequence of which an event was
    given. `complete`: the sequence of the last archive
    that was read to its end; None before the first one. `reported`: faults that were reported for the current or the next archive.
    """

    key: Key
    waiting: dict[int, Path] = field(default_factory=dict)
    cursor: Cursor | None = None
    reached: int = 0
    given: int = 0
    complete: int | None = None
    reported: set[tuple[object, str]] = field(default_factory=set)

    def close(self) -> None:
        """Close the archive of the cursor."""
        if self.cursor is not None:
            self.cursor.close()


class Streams:
    """`look` finds archives. `keeps`: keep streams of which no archive exists. `known`: the streams. `leaving`: streams whose directory was replaced by another one, or is gone."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.known: dict[Key, Stream] = {}
        self.leaving: list[Stream] = []
        self.keeps = False
        self.tree = Tree([path.absolute() for path in paths])
        self._by_head: dict[Path, ArchiveId | None] = {}
        self._looked_at = -LOOK_S

    def look(self, everywhere: bool = False) -> None:
        """Find new archives. All directories are looked at if it is time to, or if `everywhere`."""
        everywhere = everywhere or monotonic() - self._looked_at >= LOOK_S
        if everywhere:
            self._looked_at = monotonic()
        for path in self.tree.look(everywhere):
            self._offer(path)
        if everywhere:
            self._forget()

    def _offer(self, path: Path) -> None:
        id = naming.parse_sealed(path) or naming.parse_open(path) or self._named(path)
        if id is None or self._was_read(path, id):
            return
        stream = self._stream(Key(*self.tree.home(path, id.instance), id.instance))
        if id.sequence <= stream.reached:
            if stream.cursor is None or not _is_a_new_run(stream.cursor, path, id):
                _note_name(stream.cursor, path, id)
                return
            stream = self._replace(stream)
        other = stream.waiting.get(id.sequence)
        if other is not None and _are_different(other, path):
            stream = self._stream(Key(path.parent, UNKNOWN, id.instance))
        stream.waiting[id.sequence] = path

    def _named(self, path: Path) -> ArchiveId | None:
        """The archive in a file that the user named and with another name than archives have. Its head names the archive. None after a fault, which is reported once."""
        if path not in self._by_head:
            self._by_head[path] = None
            try:
                with ArchiveFile(path) as archive:
                    self._by_head[path] = archive.id
                    fault = None if archive.id else ReadFault(path, None, "is no archive")
            except OSError as error:
                fault = ReadFault.of(path, error)
            self.tree.faults += [fault] if fault else []
        return self._by_head[path]

    def _was_read(self, path: Path, id: ArchiveId) -> bool:
        """Whether the archive was read already, under the key of its own directory, before its instance was known to write to a directory above it."""
        own = self.known.get(Key(path.parent, self.tree.file(path.parent) or UNKNOWN, id.instance))
        home, _ = self.tree.home(path, id.instance)
        return home != path.parent and own is not None and id.sequence <= own.reached

    def _stream(self, key: Key) -> Stream:
        return self.known.setdefault(key, Stream(key))

    def _replace(self, stream: Stream) -> Stream:
        """Start a new stream. The archive that is open in the old one is read to its end first."""
        self.leaving.append(stream)
        self.known[stream.key] = fresh = Stream(stream.key)
        self.tree.forget(stream.key.home)  # its other archives were left out as old ones
        self._looked_at = -LOOK_S
        return fresh

    def _forget(self) -> None:
        """Drop streams of which no archive exists."""
        if self.keeps:
            return
        gone = [key for key in self.known if not self._exists(key)]
        self.leaving += [self.known.pop(key) for key in gone]

    def _exists(self, key: Key) -> bool:
        file = self.tree.file(key.home)
        if key.file == UNKNOWN or file is None:
            return key.file == UNKNOWN or key.home in self.tree.roots  # a root may be mounted again
        return file == key.file and self.tree.holds(key.home, key.instance)


def _is_a_new_run(cursor: Cursor, path: Path, id: ArchiveId) -> bool:
    """Whether an archive with an old sequence is a new one, because the directory was emptied and the sequences began again.

    It has the sequence of the cursor and another head; or it is being written and was made after the cursor's archive.
    """
    if id != cursor.id and naming.parse_open(path) is None:
        return False
    with suppress(OSError), ArchiveFile(path) as archive:
        head = head_of(archive)
        if (
            archive.file == cursor.file
            or head is None
            or cursor.head is None
            or head == cursor.head
            or archive.head is None
        ):
            return False
        if id == cursor.id:
            return True
        return archive.head.created_us > cursor.created_us and is_held(path)
    return False


def _note_name(cursor: Cursor | None, path: Path, id: ArchiveId) -> None:
    """The archive of the cursor was sealed, and has another name since."""
    if cursor is not None and id == cursor.id and not cursor.path.exists():
        with suppress(OSError):  # gone again: the next look finds it
            cursor.rename(path)


def _are_different(one: Path, other: Path) -> bool:
    """Whether two files with one sequence are different archives, and not copies or two names of the same."""
    with suppress(OSError), ArchiveFile(one) as first, ArchiveFile(other) as second:
        return first.file != second.file and None not in (heads := {head_of(first), head_of(second)}) and len(heads) > 1
    return False
