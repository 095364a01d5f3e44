"""Read the archived events, for tests."""

from collections.abc import Iterator
from pathlib import Path

from codec.event import Event
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile, StoredBatch, open_archive


def batches(path: Path) -> Iterator[StoredBatch]:
    with open_archive(path) as archive:
        yield from (part for part in archive.parts() if isinstance(part, StoredBatch))


def events(directory: Path) -> list[Event]:
    """All events that can be read, in order of instance and sequence."""
    while True:
        try:
            return [event for path in find_archives([directory]) for batch in batches(path) for event in batch.events()]
        except FileNotFoundError:
            continue  # a running service removed an archive without events since the listing


def event_at(path: Path, number: int) -> Event:
    """The event of this number. Raises StopIteration if no whole batch of the archive holds it."""
    found = ((batch.header.first_event, batch.events()) for batch in batches(path))
    return next(events[number - first] for first, events in found if first <= number < first + len(events))


def unmarked(directory: Path) -> list[Event]:
    """Those that are not marked as duplicates."""
    return [event for event in events(directory) if not event.duplicate]


def count(directory: Path) -> int:
    """How many events are in whole batches, by the headers alone."""
    total = 0
    for path in find_archives([directory]):
        try:
            with ArchiveFile(path) as archive:
                total += sum(
                    part.header.events for part in archive.parts(frames=False) if isinstance(part, StoredBatch)
                )
        except FileNotFoundError:
            continue  # sealed between listing and opening: it is counted next time
    return total
