"""Append batches to one archive, and seal it. Synchronous; one thread owns a writer.

The order is always: encode, append, sync (for the first batch also the directory), return. The caller acknowledges afterwards, so
that every acknowledged event would survive a power cut. Sealing: footer, sync, rename without replacing, sync of the
directories. Invariant: after the first error the writer appends nothing more, because a sync that failed must not be tried again.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from codec import archive as container
from codec.archive import Head
from codec.event import Event
from codec.parts import checksum_of
from consumer.archive import naming
from consumer.archive.layout import Layout
from consumer.archive.reading.batches import EncodedBatch, Slot, encode_batches
from consumer.archive.writing.index import ArchiveIndex
from consumer.archive.writing.rolling import Fill
from consumer.archive.writing.sealing import Sealed, publish
from consumer.archive.writing.storage_faults import storage_fault
from consumer.disk.durable import Disk

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Receipt:
    """Events that are durable: their archive, their first batch, how many, and their bytes in the archive. Times in seconds."""

    archive: naming.ArchiveId
    batch: int
    events: int
    bytes: int
    encode_s: float
    sync_s: float


class ArchiveWriter:
    """An open archive. The head is written with the first batch, in one append.

    `broken`: an error occurred; `in_hand`: bytes of the batch that is being appended.
    """

    def __init__(
        self, disk: Disk, layout: Layout, head: Head, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.id = naming.ArchiveId(head.instance, head.sequence)
        self.path = layout.directory / naming.open_name(self.id)
        self.broken = False
        self.in_hand = 0
        self.fill = Fill(0, 0, 0, 0, clock(), wall())
        self._disk, self._layout, self._clock = disk, layout, clock
        self._head = container.encode_head(head)
        self.index = ArchiveIndex(checksum_of(self._head))
        self._digest = hashlib.sha256()
        self._unsynced = b""  # the last appended bytes, until they are synced
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

        Raises StorageFault, after which none of them counts, and TooLarge for an event that fits into no archive.
        """
        assert events, "an empty batch"
        assert not self.broken, "a writer after its end"
        started = self._clock()
        slot = Slot(str(self.id), len(self.index.rows), self.index.events, self.index.chain_checksum)
        batches = list(encode_batches(events, slot, self._layout.level))
        first = not self.index.rows
        raw = b"".join([self._head if first else b"", *(batch.raw for batch in batches)])
        encoded = self._clock()
        self.in_hand = len(raw)
        self._append_durably(raw, first)
        synced = self._clock()
        self._count(batches, len(raw))
        self.in_hand = 0
        return Receipt(self.id, slot.number, len(events), len(raw), encoded - started, synced - encoded)

    def _append_durably(self, raw: bytes, first: bool) -> None:
        self._append(raw)
        self._attempt(lambda: self._disk.sync(self._fd))
        if first:
            # The entry of a new file is not durable until its directory is synced (fsync(2)).
            self._attempt(lambda: self._disk.sync_directory(self._layout.directory))
        # A file that lost its name before the sync holds nothing that would survive.
        self._attempt(lambda: self._disk.check(self._fd, self.path, self.committed + len(raw)))
        self._unsynced = b""

    def _count(self, batches: Sequence[EncodedBatch], size: int) -> None:
        for batch in batches:
            self.index.add(batch.header, batch.events)
        self.fill = replace(
            self.fill,
            bytes=self.fill.bytes + size,
            events=self.index.events,
            batches=len(self.index.rows),
            index_bytes=self.index.bytes,
        )

    def seal(self) -> Sealed:
        """Append the footer, give the archive its sealed name, close the file. Raises StorageFault."""
        end = self.index.encode_end(len(self._head))
        self._append(end)
        self._attempt(lambda: self._disk.sync(self._fd))
        name = naming.sealed_name(self._layout.template, self.id, self.index.first_us, self.index.last_us)
        path = self._layout.directory / name
        self._attempt(lambda: publish(self._disk, self._fd, self.path, path))
        # From here on nothing fails, and nothing is cut off: the archive has its sealed name.
        self._disk.close(self._fd)
        return Sealed(self.id, path, self.index.events, self.fill.bytes + len(end), self._digest.hexdigest())

    def discard(self) -> None:
        """Close and remove a file that holds no durable batch. Raises StorageFault."""
        assert not self.fill.batches, "batches are never thrown away"
        self._attempt(lambda: self._disk.check(self._fd, self.path, 0))
        self.abandon()
        self._attempt(lambda: self._disk.remove(self.path))

    def abandon(self) -> None:
        """Close without sealing, and release the lock. Recovery seals the file.

        Bytes that this writer appended and did not sync are cut off, if the disk allows: their events are archived elsewhere, or
        are delivered again. Nothing else is cut off: another process may have sealed or replaced the file.
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
