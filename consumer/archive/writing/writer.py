"""Write one archive: append batches, seal. Synchronous; one owner thread is the lock.

The order, always: encode, append, sync (for the first batch also the directory), return. Whoever acknowledges
afterwards acknowledges what would survive a power cut. Sealing: footer, sync, rename without clobber, sync of the
directories. After the first error the writer is broken for good: a sync that failed once must not be asked again.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from codec import archive as container
from codec import filter as bloom
from codec.archive import BatchHeader, Head
from codec.event import Event
from codec.footer import Footer, bounded, encode_footer, encode_row, frame_sizes, row_sizes
from codec.gap import Gap
from codec.limits import FILTER_WORDS_MAX
from codec.parts import checksum_of
from codec.seektable import encode_seek_table
from consumer.archive import naming
from consumer.archive.layout import Layout
from consumer.archive.reading.batches import Slot, encode_batches
from consumer.archive.writing.rolling import Fill
from consumer.disk.durable import Disk
from consumer.errors import StorageFault

T = TypeVar("T")

NAME_CHARACTERS_MAX = 255
ROW_OVERHEAD_BYTES = 90  # of the objects that hold a row and its words
NAMES_MAX = 1000  # distinct types and tags that a footer counts by name


@dataclass(frozen=True, slots=True)
class Receipt:
    """Events that are durable: where they are, from which batch on, and what they took."""

    archive: naming.ArchiveId
    batch: int
    events: int
    bytes: int
    encode_s: float
    sync_s: float


@dataclass(frozen=True, slots=True)
class Sealed:
    """An archive that will not change any more."""

    archive: naming.ArchiveId
    path: Path
    events: int
    bytes: int
    sha256: str


class Tally:
    """Names with counts, as many as a footer takes."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.complete = True

    def add(self, names: Sequence[str]) -> None:
        """Count the names; new ones past the limit are left out, and `complete` says so."""
        counts = self.counts
        for name in names:
            if name in counts:
                counts[name] += 1
            else:
                self._add_unknown(name)

    def _add_unknown(self, original: str) -> None:
        name = _utf8(original)
        self.complete = self.complete and name == original  # an escaped name is not the name
        if name in self.counts or (len(self.counts) < NAMES_MAX and len(name) <= NAME_CHARACTERS_MAX):
            self.counts[name] = self.counts.get(name, 0) + 1
        else:
            self.complete = False


def _utf8(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


class Index:
    """What the footer will say, gathered batch by batch."""

    def __init__(self, link: int) -> None:
        self.rows: list[bytes] = []
        self.words: list[bytes] = []
        self.types, self.tags = Tally(), Tally()
        self.events = self.records = self.raw = self.bytes = 0
        self.first_us = self.last_us = 0
        self.link = link

    def add(self, header: BatchHeader, events: Sequence[Event] | None) -> None:
        """Take in a batch that is durable; without its events it gets no filter, and the names stay uncounted."""
        words = b"" if events is None else self._tally(events)
        self.first_us = header.first_arrived_us if not self.rows else min(self.first_us, header.first_arrived_us)
        self.last_us = header.last_arrived_us if not self.rows else max(self.last_us, header.last_arrived_us)
        self.rows.append(encode_row(header, words))
        self.words.append(words)
        self.bytes += len(self.rows[-1]) + len(words) + ROW_OVERHEAD_BYTES
        self.types.complete = self.types.complete and events is not None
        self.events += header.events
        self.records += header.records
        self.raw += header.raw
        self.link = header.check

    def _tally(self, events: Sequence[Event]) -> bytes:
        types = [event.type for event in events]
        tags = [tag for event in events for tag in event.tags]
        self.types.add(types)
        self.tags.add(tags)
        hashes = [bloom.key_hash("id", event.id) for event in events]
        hashes += [bloom.key_hash("type", name) for name in set(types)]
        hashes += [bloom.key_hash("tag", name) for name in set(tags)]
        return bloom.build(hashes) if bloom.word_count(len(hashes)) <= FILTER_WORDS_MAX else b""

    def encode_end(
        self, head_bytes: int, gaps: Sequence[Gap] = (), rewritten_from: str | None = None, removed: int = 0
    ) -> bytes:
        """Footer and seek table."""
        footer = Footer(
            len(self.rows), self.events, self.records, self.raw, self.link,
            self.types.counts, self.tags.counts, self.types.complete and self.tags.complete,
            bounded(gaps), rewritten_from, removed,
        )  # fmt: skip
        raw = encode_footer(footer, self.rows, self.words)
        return raw + encode_seek_table(frame_sizes(head_bytes, map(row_sizes, self.rows), len(raw)))


class ArchiveWriter:
    """An open archive. The head is written with the first batch, in one append."""

    def __init__(
        self, disk: Disk, layout: Layout, head: Head, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.id = naming.ArchiveId(head.instance, head.sequence)
        self.path = layout.directory / naming.open_name(self.id)
        self.broken = False
        self.fill = Fill(0, 0, 0, 0, clock(), wall())
        self._disk, self._layout, self._clock = disk, layout, clock
        self._head = container.encode_head(head)
        self.index = Index(checksum_of(self._head))
        self._digest = hashlib.sha256()
        self._unsynced = b""  # what was appended last, until it is synced
        self.in_hand = 0  # bytes of the batch that is being appended
        self._fd = self._attempt(lambda: disk.create(self.path))

    @property
    def file(self) -> tuple[int, int]:
        """Device and inode."""
        found = os.fstat(self._fd)
        return found.st_dev, found.st_ino

    @property
    def committed(self) -> int:
        """Bytes of the file up to the end of the last durable batch."""
        return self.fill.bytes

    def append(self, events: Sequence[Event]) -> Receipt:
        """Make the events durable as one batch, or as several if they do not fit into one.

        Raises StorageFault, after which none of them counts, and TooLarge for an event that no archive takes.
        """
        assert events, "an empty batch"
        assert not self.broken, "a writer after its end"
        started = self._clock()
        slot = Slot(str(self.id), len(self.index.rows), self.index.events, self.index.link)
        batches = list(encode_batches(events, slot, self._layout.level))
        first = not self.index.rows
        parts = b"".join([self._head if first else b"", *(batch.raw for batch in batches)])
        encoded = self._clock()
        self.in_hand = len(parts)
        self._append(parts)
        self._attempt(lambda: self._disk.sync(self._fd))
        if first:
            # The entry of a new file is not durable until its directory is synced (fsync(2)).
            self._attempt(lambda: self._disk.sync_directory(self._layout.directory))
        # A file that lost its name before the sync has nothing that would survive.
        self._attempt(lambda: self._disk.check(self._fd, self.path, self.committed + len(parts)))
        self._unsynced = b""
        synced = self._clock()
        for batch in batches:
            self.index.add(batch.header, batch.events)
        self.fill = replace(
            self.fill,
            bytes=self.fill.bytes + len(parts),
            events=self.index.events,
            batches=len(self.index.rows),
            index_bytes=self.index.bytes,
        )
        self.in_hand = 0
        return Receipt(self.id, slot.number, len(events), len(parts), encoded - started, synced - encoded)

    def seal(self) -> Sealed:
        """Write the end, take the final name, close. Raises StorageFault."""
        end = self.index.encode_end(len(self._head))
        self._append(end)
        self._attempt(lambda: self._disk.sync(self._fd))
        name = naming.sealed_name(self._layout.template, self.id, self.index.first_us, self.index.last_us)
        path = self._layout.directory / name
        self._attempt(lambda: publish(self._disk, self._fd, self.path, path))
        # From here on nothing fails, and nothing is cut off: the archive has its final name.
        self._disk.close(self._fd)
        return Sealed(self.id, path, self.index.events, self.fill.bytes + len(end), self._digest.hexdigest())

    def discard(self) -> None:
        """Close and remove a file in which nothing is durable. Raises OSError."""
        assert not self.fill.batches, "batches are never thrown away"
        self._disk.check(self._fd, self.path, 0)
        self.abandon()
        self._disk.remove(self.path)

    def abandon(self) -> None:
        """Close without sealing, and give up the lock; recovery seals the file.

        What this writer appended and did not sync is cut off, if the disk allows: its events are archived elsewhere, or
        come again. Nothing else is cut off: another process may have sealed or replaced the file.
        """
        self.broken = True
        with suppress(OSError):
            self._disk.retract(self._fd, self.path, self.committed, self._unsynced)
        self._disk.close(self._fd)

    def _append(self, raw: bytes) -> None:
        self._attempt(lambda: self._disk.check(self._fd, self.path, self.committed))
        self._unsynced = raw
        self._attempt(lambda: self._disk.append(self._fd, raw))
        self._digest.update(raw)

    def _attempt(self, step: Callable[[], T]) -> T:
        try:
            return step()
        except OSError as error:
            self.broken = True
            raise storage_fault(error, self.path, self.in_hand) from error


def publish(disk: Disk, fd: int, source: Path, target: Path) -> None:
    """Give a synced archive its sealed name. Raises OSError."""
    disk.make_directory(target.parent)
    for parent in target.parent.parents:
        if parent == source.parent or source.parent not in parent.parents:
            break
        disk.sync_directory(parent)  # a deeper template: an earlier attempt may have made it without syncing it
    disk.rename(source, target)
    with suppress(OSError):  # an archive that stays writable is sealed all the same
        disk.make_read_only(fd)  # last: were the rename to fail, recovery must be able to write


def storage_fault(error: OSError, path: Path, size: int = 0) -> StorageFault:
    """The meaning of an error of the disk to an operator. `size`: the bytes that were to be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFault("disk_full", f"{path}: {error.strerror}", "free space; consuming resumes by itself", size)
    if error.errno == errno.EFBIG:
        what = f"{path}: {size} bytes: {error.strerror}"
        return StorageFault("file_limit", what, "raise the limit of the file size (ulimit -f)", size)
    if error.errno in (errno.ESTALE, errno.ENOENT):
        do = "find the process that changes the archive directory; the events go to a new archive"
        return StorageFault("archive_changed", f"{path}: {error.strerror}", do, size)
    do = "check the device; consuming resumes by itself"
    return StorageFault("disk_error", f"{path}: {error.strerror or error}", do, size)
