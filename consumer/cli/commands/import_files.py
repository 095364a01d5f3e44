"""The command `import`: archive the events of other systems' files."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from codec.counted import counted
from codec.event import Event
from consumer.archive.layout import Layout
from consumer.archive.writing.archive_log import ArchiveLog, ArchiveLogSettings
from consumer.archive.writing.instance_lock import InstanceLock
from consumer.archive.writing.rolling import RollPolicy, RollReason
from consumer.cli.commands.imported_events import BATCH_BYTES, ImportedEvents
from consumer.cli.parameters import STDIN
from consumer.cli.printing import print_line, report_error
from consumer.cli.progress import progress
from consumer.convert.formats import FileFormat, detect_format
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError, Exit, StorageFault

BATCH_EVENTS = 2000
ROLL_BYTES = 128 << 20


@dataclass(frozen=True)
class _Source:
    """A file to import. `name`: its name in reports."""

    path: Path
    name: str


def import_files(paths: Sequence[Path], format: FileFormat, directory: Path, instance: str) -> Exit:
    """Archive the events of files durably. DAMAGED if a file could not be read or has a part that is not an event.

    `STDIN` is read to its end first. Raises DeedboxError if the disk fails: later files are not read then.
    """
    layout = Layout(directory)
    instance_lock = asyncio.run(InstanceLock.acquire(Disk(), layout, instance))
    archive_log = ArchiveLog(
        Disk(), ArchiveLogSettings(instance, layout, RollPolicy(ROLL_BYTES), window=0), instance_lock.ledger
    )
    status = Exit.OK
    try:
        for path in paths:
            for source in _files(path):
                status = max(status, _import(source, format, archive_log))
    finally:
        archive_log.roll(RollReason.STOP)
        instance_lock.end(consumed=False)
        instance_lock.release()
    return status


def _files(path: Path) -> Iterator[_Source]:
    if path == STDIN:
        with _saved_stdin() as saved:
            yield _Source(saved, "standard input")
    elif path.is_dir():
        yield from (_Source(one, str(one)) for one in sorted(path.rglob("*")) if one.is_file())
    else:
        yield _Source(path, str(path))


@contextmanager
def _saved_stdin() -> Iterator[Path]:
    """Standard input as a file: the readers of the formats need to go back."""
    with tempfile.NamedTemporaryFile(prefix="deedbox-import-") as saved:
        shutil.copyfileobj(sys.stdin.buffer, saved)
        saved.flush()
        yield Path(saved.name)


def _import(source: _Source, format: FileFormat, archive_log: ArchiveLog) -> Exit:
    events = ImportedEvents(source.path, source.name, format)
    try:
        _check_format(source, format)
        archived = _archive(events, archive_log, source)
    except StorageFault as fault:
        what = f"{fault.what}; {counted(events.archived, 'event')} of {source.name} are archived, and no later ones"
        raise DeedboxError(what, "free space, remove these events from the file, and import it again") from fault
    except DeedboxError as error:
        report_error(error)
        return Exit.DAMAGED
    except OSError as error:
        report_error(f"{source.name}: {error.strerror or error}")
        return Exit.DAMAGED
    skipped = f", {counted(events.gaps, 'part')} skipped" if events.gaps else ""
    print_line(f"{source.name}: {counted(archived, 'event')}{skipped}")
    return Exit.DAMAGED if events.gaps else Exit.OK


def _check_format(source: _Source, format: FileFormat) -> None:
    """Refuse a file that begins as another format does. Raises DeedboxError and OSError."""
    found = detect_format(source.path)
    if found is FileFormat.ARCHIVE:
        what = f"{source.name}: is an archive of Deedbox; nothing of it was imported"
        raise DeedboxError(what, "`deedbox export --format jsonl` writes files that can be imported")
    if found not in (None, format):
        what = f"{source.name}: begins as a {found} file, but --format is {format}; nothing of it was imported"
        raise DeedboxError(what, f"use --format {found}")


def _archive(events: ImportedEvents, archive_log: ArchiveLog, source: _Source) -> int:
    """The number of events that were archived."""
    with progress(source.name, source.path.stat().st_size) as advance:
        for batch in _batches(events):
            archive_log.append(batch)
            events.archived += len(batch)
            advance(sum(len(event.body) for event in batch))
    return events.archived


def _batches(events: ImportedEvents) -> Iterator[list[Event]]:
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
