"""The streams below some paths: the archives of one instance in one directory, in the order of their sequences.

Invariants: two directories never share a stream, even if their instances have one name, and neither does a directory share one with that which
replaces it; memory holds the archives that a stream has still to read, and a stream for as long as one of its archives exists.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from consumer.archive import naming
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import head_of
from consumer.disk.durable import is_held
from consumer.follow.cursor import Cursor
from consumer.follow.tree import Tree

_UNKNOWN = (0, 0)  # the inode of the directory of a file that was named itself
LOOK_S = 2.0  # how often all directories are looked at, for what no open archive announced


class Key(NamedTuple):
    """What tells a stream from others: the directory by its path and its inode, and the instance."""

    home: Path
    file: tuple[int, int]
    instance: str


@dataclass
class Stream:
    """Archives that have still to be read, by sequence, and the cursor in the one that is read or was read last.

    `reached`: the highest sequence that was read or passed by; `reported`: faults of the archive that is read or comes next.
    """

    key: Key
    waiting: dict[int, Path] = field(default_factory=dict)
    cursor: Cursor | None = None
    reached: int = 0
    reported: set[str] = field(default_factory=set)

    def close(self) -> None:
        """Close the archive that is read."""
        if self.cursor is not None:
            self.cursor.close()


class Streams:
    """`look` for archives; `known` has the streams, and `leaving` those whose directory another one has replaced."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.known: dict[Key, Stream] = {}
        self.leaving: list[Stream] = []
        self.tree = Tree([path.absolute() for path in paths])
        self._by_head: dict[Path, ArchiveId | None] = {}
        self._looked_at = -LOOK_S

    def look(self, everywhere: bool = False) -> None:
        """Learn of archives. All directories are looked at if it is time to, or if `everywhere`."""
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
            if stream.cursor is None or not _begins_anew(stream.cursor, path, id):
                _note_name(stream.cursor, path, id)
                return
            stream = self._replace(stream)
        other = stream.waiting.get(id.sequence)
        if other is not None and _are_different(other, path):
            stream = self._stream(Key(path.parent, _UNKNOWN, id.instance))
        stream.waiting[id.sequence] = path

    def _named(self, path: Path) -> ArchiveId | None:
        """Which archive a file is that was named itself and has another name: its head says it. None for a fault, which is reported once."""
        if path not in self._by_head:
            self._by_head[path] = None
            try:
                with ArchiveFile(path) as archive:
                    self._by_head[path] = archive.id
                    fault = "" if archive.id else f"{path}: is no archive"
            except OSError as error:
                fault = f"{path}: {error.strerror or error}"
            self.tree.faults += [fault] if fault else []
        return self._by_head[path]

    def _was_read(self, path: Path, id: ArchiveId) -> bool:
        """Whether an archive was read before anything said that its instance writes to a directory above it."""
        own = self.known.get(Key(path.parent, self.tree.file(path.parent) or _UNKNOWN, id.instance))
        home, _ = self.tree.home(path, id.instance)
        return home != path.parent and own is not None and id.sequence <= own.reached

    def _stream(self, key: Key) -> Stream:
        return self.known.setdefault(key, Stream(key))

    def _replace(self, stream: Stream) -> Stream:
        """Begin a stream anew; what is still open of the old one is read to its end first."""
        self.leaving.append(stream)
        self.known[stream.key] = fresh = Stream(stream.key)
        self.tree.forget(stream.key.home)  # its other archives were taken for old ones
        self._looked_at = -LOOK_S
        return fresh

    def _forget(self) -> None:
        """Leave streams of which no archive exists any more."""
        gone = [key for key in self.known if not self._exists(key)]
        self.leaving += [self.known.pop(key) for key in gone]

    def _exists(self, key: Key) -> bool:
        file = self.tree.file(key.home)
        if key.file == _UNKNOWN or file is None:
            return key.file == _UNKNOWN or key.home in self.tree.roots  # a root may be mounted again
        return file == key.file and self.tree.holds(key.home, key.instance)


def _begins_anew(cursor: Cursor, path: Path, id: ArchiveId) -> bool:
    """Whether an archive that should have been read before the cursor is of another life, because the directory was emptied.

    It has the sequence of the cursor and another head, or it is written now and was begun after the cursor's.
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
    """The archive that is read was sealed, and with that renamed."""
    if cursor is not None and id == cursor.id and not cursor.path.exists():
        with suppress(OSError):  # gone again: the next look finds it
            cursor.rename(path)


def _are_different(one: Path, other: Path) -> bool:
    """Whether two files of one sequence are two archives, and no copies or names of one."""
    with suppress(OSError), ArchiveFile(one) as first, ArchiveFile(other) as second:
        return first.file != second.file and None not in (heads := {head_of(first), head_of(second)}) and len(heads) > 1
    return False
