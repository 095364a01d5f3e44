"""The commands `import` and `export`, behind `cli`."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from codec.event import Event
from codec.gap import Gap
from consumer.archive.counted import counted
from consumer.archive.layout import Layout
from consumer.archive.writing.archive_log import ArchiveLog, ArchiveLogSettings
from consumer.archive.writing.instance_lock import InstanceLock
from consumer.archive.writing.rolling import RollPolicy, RollReason
from consumer.cli.progress import progress
from consumer.convert.exports import Report, export
from consumer.convert.imports import ARCHIVE, events_of, format_of
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError, Exit, Fatal, StorageFault
from consumer.query.prefetch import workers
from consumer.query.query import Query
from consumer.query.search import Found, Search

Say = Callable[[str], None]
BATCH_EVENTS, BATCH_BYTES = 2000, 8 << 20
ROLL_BYTES = 128 << 20
HEAD_PARTS = 100  # events and faults from which a file of another kind is known
HEAD_FAULTS_MIN, HEAD_FAULTS_RATIO = 3, 9  # by chance, a line of any file may be JSON
FAULTS_SHOWN = 10  # of those that follow each other, the first ones are named and the others counted


def import_files(paths: Sequence[Path], format: str, directory: Path, instance: str, say: Say, complain: Say) -> Exit:
    """Archive the events of files durably; DAMAGED if a file holds something that is no event."""
    layout = Layout(directory)
    instance_lock = asyncio.run(InstanceLock.acquire(Disk(), layout, instance))
    archive_log = ArchiveLog(
        Disk(), ArchiveLogSettings(instance, layout, RollPolicy(ROLL_BYTES), window=0), instance_lock.ledger
    )
    told = Exit.OK
    try:
        for path in _files(paths):
            found = _Counted(path, format, complain)
            try:
                _check_format(path, format)
                _archive(found, archive_log, path)
            except StorageFault as fault:
                what = (
                    f"{fault.what}; {counted(found.archived, 'event')} of {path} are archived, and nothing after them"
                )
                raise DeedboxError(what, "free space, remove them from the file, and import it again") from fault
            except DeedboxError as error:
                complain(str(error))
                told = Exit.DAMAGED
                continue
            except OSError as error:
                complain(f"{path}: {error.strerror or error}")
                told = Exit.DAMAGED
                continue
            skipped = f", {counted(found.gaps, 'part')} skipped" if found.gaps else ""
            say(f"{path}: {counted(found.count, 'event')}{skipped}")
            told = Exit.DAMAGED if found.gaps else told
    finally:
        archive_log.roll(RollReason.STOP)
        instance_lock.end(consumed=False)
        instance_lock.release()
    return told


def _check_format(path: Path, format: str) -> None:
    """Refuse a file that begins as another format does. Raises DeedboxError and OSError."""
    found = format_of(path)
    if found == ARCHIVE:
        what = f"{path}: is an archive of Deedbox; nothing of it was imported"
        raise DeedboxError(what, "`deedbox export --format jsonl` writes files that can be imported")
    if found not in (None, format):
        what = f"{path}: begins as a {found} file, --format says {format}; nothing of it was imported"
        raise DeedboxError(what, f"use --format {found}")


def _archive(found: "_Counted", archive_log: ArchiveLog, path: Path) -> None:
    with progress(path.name, path.stat().st_size) as advance:
        for batch in _batches(found.events()):
            archive_log.append(batch)
            found.archived += len(batch)
            advance(sum(len(event.body) for event in batch))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


class _Counted:
    """The events of a file; what is none is named and counted."""

    def __init__(self, path: Path, format: str, complain: Say) -> None:
        self.count = self.archived = self.gaps = self._unshown = 0
        self._path, self._format, self._complain = path, format, complain

    def events(self) -> Iterator[Event]:
        """The events. Raises DeedboxError before the first one if hardly anything in the beginning of the file is an event."""
        found = events_of(self._path, self._format)
        row: list[Gap] = []
        for one in chain(self._head(found), found):
            if isinstance(one, Gap):
                self._note(one, row)
                continue
            self._end(row)
            self.count += 1
            yield one
        self._end(row)

    def _head(self, found: Iterator[Event | Gap]) -> list[Event | Gap]:
        """The beginning of the file, as far as it shows whether the file is what it should be."""
        head: list[Event | Gap] = []
        size = 0
        while len(head) < HEAD_PARTS and size < BATCH_BYTES and (one := next(found, None)) is not None:
            head.append(one)
            size += 0 if isinstance(one, Gap) else len(one.body)
        faults = [one for one in head if isinstance(one, Gap)]
        if len(faults) >= HEAD_FAULTS_MIN and len(faults) > HEAD_FAULTS_RATIO * (len(head) - len(faults)):
            what = (
                f"{self._path}: is no {self._format} file: {len(faults)} of its first {len(head)} parts are no events"
            )
            first = (
                f"the first one at {faults[0].offset}: {faults[0].kind}: {faults[0].reason}; nothing of it was imported"
            )
            raise DeedboxError(f"{what}, {first}", "if only its beginning is damaged, cut that off and import the rest")
        return head

    def _note(self, fault: Gap, row: list[Gap]) -> None:
        """Name a fault; of many in a row, only the first ones. `row` holds those and the last one."""
        self.gaps += 1
        if len(row) < FAULTS_SHOWN:
            self._complain(f"{self._path}: at {fault.offset}: {fault.size} bytes: {fault.kind}: {fault.reason}")
            row.append(fault)
        else:
            self._unshown += 1
            row[FAULTS_SHOWN:] = [fault]

    def _end(self, row: list[Gap]) -> None:
        """A row of faults is over: count those that were not named."""
        if self._unshown:
            end = row[-1].offset + row[-1].size
            self._complain(
                f"{self._path}: up to {end}: {counted(self._unshown, 'more part')} skipped, one after the other"
            )
        self._unshown = 0
        row.clear()


def _batches(events: Iterator[Event]) -> Iterator[list[Event]]:
    batch: list[Event] = []
    size = 0
    for event in events:
        batch.append(event)
        size += len(event.body)
        if len(batch) == BATCH_EVENTS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def export_events(paths: Sequence[Path], query: Query, format: str, out: Path, say: Say, complain: Say) -> Exit:
    """Write what a search finds as files; DAMAGED if an archive could not be read whole or an event was left out."""
    for path in paths:
        if not path.exists():
            raise Fatal(Exit.SETTINGS, f"{path}: nothing is there", "name archives, or directories of them")
    search = Search(paths, query)
    began = time.monotonic()
    amount = search.plan()
    with progress("exporting", amount) as advance, workers(amount) as search.executor:
        report = export(Disk(), _advancing(search, advance), format, out)
    for fault in search.faults:
        complain(str(fault))
    if hidden := search.duplicates.report():
        complain(hidden)
    _tell(report, out, time.monotonic() - began, say, complain)
    return Exit.DAMAGED if search.faults or report.left_out else Exit.OK


def _advancing(search: Search, advance: Callable[[int], None]) -> Iterator[Found]:
    """What is found; the bar follows the bytes that were read for it."""
    known = search.bytes_read
    for found in search:
        if search.bytes_read != known:
            advance(search.bytes_read - known)
            known = search.bytes_read
        yield found


def _tell(report: Report, out: Path, seconds: float, say: Say, complain: Say) -> None:
    for path in islice(report.files, 10):
        say(str(path))
    if len(report.files) > 10:
        say(f"and {len(report.files) - 10} more below {out}")
    for name, count in report.unsupported.items():
        if count:
            complain(f"the format has no place for {name}: {counted(count, 'event')}")
    if report.left_out:
        complain(f"left out: {counted(report.left_out, 'event')}, because the format cannot hold their bodies")
    say(f"{counted(report.events, 'event')} in {counted(len(report.files), 'file')}, {seconds:.1f} s")
