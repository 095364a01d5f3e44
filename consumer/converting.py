"""The commands `import` and `export`, behind `cli`."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from codec.event import Event
from codec.foreign import Skipped
from consumer.archive.claim import Claim
from consumer.archive.counted import counted
from consumer.archive.durable import Disk
from consumer.archive.rolling import RollPolicy
from consumer.archive.shelf import Shelf, ShelfSettings
from consumer.archive.writer import Place
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.progress import progress
from consumer.query.exports import Report, export
from consumer.query.imports import ARCHIVE, events_of, format_of
from consumer.query.prefetch import workers
from consumer.query.query import Query
from consumer.query.search import Found, Search

Say = Callable[[str], None]
BATCH_EVENTS, BATCH_BYTES = 2000, 8 << 20
ROLL_BYTES = 128 << 20


def import_files(paths: Sequence[Path], format: str, directory: Path, instance: str, say: Say, complain: Say) -> Exit:
    """Archive the events of files durably; DAMAGED if a file holds something that is no event."""
    place = Place(directory)
    claim = asyncio.run(Claim.take(Disk(), place, instance))
    shelf = Shelf(Disk(), ShelfSettings(instance, place, RollPolicy(ROLL_BYTES), window=0), claim.ledger)
    told = Exit.OK
    try:
        for path in _files(paths):
            found = _Counted(path, format, complain)
            try:
                _check_format(path, format)
                _archive(found, shelf, path)
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
        shelf.roll("stop")
        claim.end(consumed=False)
        claim.release()
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


def _archive(found: "_Counted", shelf: Shelf, path: Path) -> None:
    with progress(path.name, path.stat().st_size) as advance:
        for batch in _batches(found.events()):
            shelf.append(batch)
            advance(sum(len(event.body) for event in batch))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


class _Counted:
    """The events of a file; what is none is named and counted."""

    def __init__(self, path: Path, format: str, complain: Say) -> None:
        self.count = self.gaps = 0
        self._path, self._format, self._complain = path, format, complain

    def events(self) -> Iterator[Event]:
        for found in events_of(self._path, self._format):
            if isinstance(found, Skipped):
                self.gaps += 1
                self._complain(f"{self._path}: at {found.offset}: {found.size} bytes: {found.reason}")
            else:
                self.count += 1
                yield found


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
        complain(fault)
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
    for name, count in report.unheld.items():
        if count:
            complain(f"the format has no place for {name}: {counted(count, 'event')}")
    if report.left_out:
        complain(f"left out: {counted(report.left_out, 'event')}, because the format cannot hold their bodies")
    say(f"{counted(report.events, 'event')} in {counted(len(report.files), 'file')}, {seconds:.1f} s")
