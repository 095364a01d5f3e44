"""Print archives in their own order: as JSON lines, bodies, or unchanged KVP records.

Invariant: damage is reported as a ReadFault, and the next batch or archive is printed.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import BinaryIO

from codec import jsonl, kvp
from codec.errors import CodecError
from codec.event import Event
from codec.gap import Gap
from consumer.archive.location import Location
from consumer.archive.reading.catalog import Wanted
from consumer.archive.reading.duplicates import DuplicateMode, Duplicates
from consumer.archive.reading.fault import ReadFault, batch_fault
from consumer.archive.reading.opened import OpenedArchive, opened_archives
from consumer.archive.reading.reader import ArchiveReader, StoredBatch
from consumer.archive.reading.tombstones import Tombstones
from consumer.objects.errors import Replaced

Encode = Callable[[Event, str], bytes]  # from an event and its position to the printed bytes


def _bodies(event: Event, _position: str) -> bytes:
    return event.body + b"\n"


def _records(event: Event, position: str) -> bytes:
    """The records of one event, as the archive holds them, for a batch of which not all events are printed."""
    archive, _, number = position.rpartition(":")
    return b"".join(kvp.encode(event, f"{archive}.{number}"))


_MARK = b',"duplicate":"'  # only the records of a marked event hold it: within a text, quotes are escaped


class OutputFormat(StrEnum):
    """How events are printed. The values are those of `--format`."""

    JSONL = "jsonl"
    TABLE = "table"
    RAW = "raw"  # the bodies as they are
    KVP = "kvp"  # the records as the archive holds them


# The encoders that need no options. `consumer.query.show` has the others.
FORMATS: dict[OutputFormat, Encode] = {
    OutputFormat.JSONL: jsonl.encode, OutputFormat.RAW: _bodies, OutputFormat.KVP: _records,
}  # fmt: skip


@dataclass(frozen=True)
class EventSelection:
    """Which events are printed. `wanted` selects the batches; `accepts` gets an event and its position."""

    wanted: Wanted
    accepts: Callable[[Event, str], bool]


def cat_archives(
    paths: list[Location],
    format: OutputFormat | Encode,
    out: BinaryIO,
    report: Callable[[ReadFault], None],
    chosen: EventSelection | None = None,
    duplicates: Duplicates | None = None,
    limit: int | None = None,
) -> bool:
    """Print the chosen events, or all of them. Returns whether something could not be read.

    `format`: one of FORMATS, or a function that encodes an event; `report` is called for each fault; `limit`: the maximum number of
    events; `duplicates` decides about marked events and counts the hidden ones (without it, they are hidden).
    """
    damaged = False
    printing = _Printing(format, out, chosen, duplicates or Duplicates(), limit)
    with closing(opened_archives(paths, chosen.wanted if chosen else Wanted())) as archives:
        for opened in archives:
            if printing.left == 0:
                break
            printing.begin()
            if isinstance(opened, ReadFault):
                report(opened)
                damaged = True
            else:
                damaged |= _cat(opened, printing, report)
    return damaged


def _cat(opened: OpenedArchive, printing: "_Printing", report: Callable[[ReadFault], None]) -> bool:
    """Print an archive; again from where it stopped if an object was replaced in the meantime. Returns whether something could not be read."""
    damaged = False
    try:
        with opened.archive:
            for fault in _print_parts(opened, printing):
                report(fault)
                damaged = True
    except OSError as error:
        fresh = opened.renewed() if isinstance(error, Replaced) else None
        if fresh is not None:
            printing.resume()
            return _cat(fresh, printing, report) or damaged
        report(ReadFault.of(opened.archive.path, error))
        damaged = True
    return damaged


def _print_parts(opened: OpenedArchive, printing: "_Printing") -> Iterator[ReadFault]:
    """Print the events, and yield the faults."""
    archive = opened.archive
    if archive.size == 0 and not archive.live:
        yield ReadFault(archive.path, 0, "empty file")
    yield from opened.faults
    for part in opened.parts():
        if printing.left == 0:
            return
        if isinstance(part, StoredBatch):
            try:
                printing.print(archive, part, opened.tombstones)
            except CodecError as error:
                yield batch_fault(archive.path, part, error)
        elif isinstance(part, Gap) and not (archive.live and part.harmless):
            yield ReadFault(archive.path, part.offset, str(part))


@dataclass
class _Printing:
    """How events are printed, and which. `left`: how many more may be printed; None for no limit. `skipped`: events with lower numbers were printed before."""

    format: OutputFormat | Encode
    out: BinaryIO
    chosen: EventSelection | None
    duplicates: Duplicates
    left: int | None = None
    skipped: int = 0
    _next: int = 0

    def begin(self) -> None:
        """The next batch is the first one of an archive."""
        self.skipped = self._next = 0

    def resume(self) -> None:
        """The archive is read from its beginning again: print only what was not printed yet."""
        self.skipped = self._next

    def print(self, archive: ArchiveReader, batch: StoredBatch, tombstones: Tombstones) -> None:
        """Print the events of a batch. Raises CodecError."""
        header, first, end = batch.header, self.skipped, batch.header.first_event + batch.header.events
        if end <= first:
            return
        self._next = max(self._next, end)
        chosen = self.chosen
        whole = (
            self.format is OutputFormat.KVP
            and chosen is None
            and self.left is None
            and header.first_event >= first
            and not tombstones.within(header)
        )
        if whole and not self._hides(batch):
            self.out.writelines(batch.records())
            return
        if chosen is not None and not chosen.wanted.spans(header):
            return
        name = str(archive.id or archive.path.name)
        numbered = tombstones.kept(header, batch.events())
        kept = ((f"{name}:{number}", event) for number, event in numbered if number >= first)
        encode = FORMATS[self.format] if isinstance(self.format, OutputFormat) else self.format
        accepted = (one for one in kept if chosen is None or chosen.accepts(one[1], one[0]))
        shown = (encode(event, place) for place, event in accepted if self.duplicates.shows(event))
        if self.left is None:
            self.out.writelines(shown)
            return
        lines = list(islice(shown, min(self.left, sys.maxsize)))
        self.left -= len(lines)
        self.out.writelines(lines)

    def _hides(self, batch: StoredBatch) -> bool:
        """Whether an event of the batch may be hidden because it is marked, or because it is not. Raises CodecError."""
        mode = self.duplicates.mode
        return mode is DuplicateMode.ONLY or (
            mode is DuplicateMode.HIDE and any(_MARK in piece for piece in batch.records())
        )
