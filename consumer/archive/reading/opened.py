"""Archives that are open to be read from their beginning to their end, in order of instance and sequence.

Invariant: of an archive in object storage, only batches that may hold wanted events are read, and those of the next archives are on their
way while one is read. Of a local archive, every part is read, so that damage anywhere in it is noticed.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from consumer.archive.location import Location
from consumer.archive.reading.catalog import ArchiveMatch, Wanted, entries, look_at
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.found import Part, StoredBatch
from consumer.archive.reading.in_threads import in_threads
from consumer.archive.reading.reader import ArchiveReader, open_archive
from consumer.archive.reading.tombstones import Tombstones
from consumer.errors import DeedboxError
from consumer.objects.url import ObjectUrl

OPENED_AHEAD = 8  # archives in object storage


@dataclass
class OpenedArchive:
    """An archive, its deleted events, and the batches to read; None: all parts. `faults`: what was found before these are read."""

    archive: ArchiveReader
    tombstones: Tombstones
    batches: Sequence[StoredBatch] | None
    wanted: Wanted
    faults: Sequence[ReadFault] = ()

    def parts(self) -> Iterable[Part]:
        """The parts to read, in order."""
        if self.batches is None:
            return self.archive.parts()
        return map(self.archive.with_frame, self.batches)

    def plan(self) -> None:
        """Ask for the first parts now."""
        if self.batches is not None:
            self.archive.source.plan([(batch.offset, batch.size) for batch in self.batches])

    def renewed(self) -> "OpenedArchive | None":
        """The archive as it is now, after its object was replaced; None if there is another archive now. Raises nothing."""
        try:
            entry = look_at(_unlisted(self.archive.path), self.wanted)
            return _opened(entry, self.wanted) if entry.identity == self.archive.identity else None
        except (OSError, DeedboxError):
            return None


def opened_archives(paths: Sequence[Location], wanted: Wanted) -> Generator[OpenedArchive | ReadFault, None, None]:
    """Each archive below the paths, or the fault if it cannot be opened. Close the generator to end the requests that were sent ahead."""
    if any(isinstance(path, ObjectUrl) for path in paths):
        found = entries(paths, wanted)
        yield from in_threads(partial(_open, wanted=wanted), found, OPENED_AHEAD, begin=1)
    else:
        yield from (_open(entry, wanted) for entry in entries(paths, Wanted()))


def _open(entry: ArchiveMatch, wanted: Wanted) -> OpenedArchive | ReadFault:
    if entry.identity is None:
        return entry.faults[0]
    try:
        opened = _opened(entry, wanted)
        opened.plan()
    except OSError as error:
        return ReadFault.of(entry.path, error)
    return opened


def _opened(entry: ArchiveMatch, wanted: Wanted) -> OpenedArchive:
    """Raises OSError."""
    chosen = isinstance(entry.path, ObjectUrl) and wanted != Wanted()
    archive = open_archive(entry.path)
    if not chosen:
        return OpenedArchive(archive, entry.tombstones, None, wanted)
    return OpenedArchive(archive, entry.tombstones, entry.batches, wanted, entry.faults)


def _unlisted(path: Location) -> Location:
    return path.listed_as(None) if isinstance(path, ObjectUrl) else path
