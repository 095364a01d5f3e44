"""A summary of an archive, from its footer alone; of an open archive, from its batch headers. No event is read.

Invariant: memory and bytes read do not depend on the size of the events.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from codec.archive import BatchHeader
from codec.errors import CodecError
from codec.gap import Gap
from consumer.archive import naming
from consumer.archive.location import Location
from consumer.archive.reading.footer_index import read_index
from consumer.archive.reading.found import StoredBatch
from consumer.archive.reading.reader import ArchiveReader, open_archive, open_at


class State(StrEnum):
    """The state of an archive. OPEN: it has no footer yet. DAMAGED: a part is missing or cannot be read."""

    OPEN = "open"
    SEALED = "sealed"
    DAMAGED = "damaged"


@dataclass
class Summary:
    """An archive. Times are microseconds since 1970, None without events. `size`: bytes of the file.

    `types`: number of events by type; None if it is not known, as of an open archive. `lost`: events that are known to be lost.
    `removed`: events whose content `compact` removed. They count as events. `fault`: the damage.
    """

    path: Location
    state: State
    id: naming.ArchiveId | None
    size: int
    batches: int = 0
    events: int = 0
    first_us: int | None = None
    last_us: int | None = None
    first_arrived_us: int | None = None
    last_arrived_us: int | None = None
    types: dict[str, int] | None = None
    lost: int = 0
    removed: int = 0
    fault: str = ""

    def add(self, header: BatchHeader) -> None:
        """Count a batch in."""
        self.batches += 1
        self.events += header.events
        self.first_us = min(header.first_us, header.first_us if self.first_us is None else self.first_us)
        self.last_us = max(header.last_us, header.last_us if self.last_us is None else self.last_us)
        first, last = self.first_arrived_us, self.last_arrived_us
        self.first_arrived_us = min(header.first_arrived_us, header.first_arrived_us if first is None else first)
        self.last_arrived_us = max(header.last_arrived_us, header.last_arrived_us if last is None else last)


def summarize(path: Location) -> Summary:
    """The summary of one archive, sealed or open. Raises OSError."""
    with open_archive(path) if isinstance(path, Path) else open_at(path, cached=True) as archive:
        is_open = naming.parse_open(archive.path) is not None
        summary = Summary(archive.path, State.OPEN if is_open else State.SEALED, archive.id, archive.size)
        try:
            if is_open:
                _add_headers(summary, archive)
            else:
                _add_footer(summary, archive)
        except CodecError as error:
            fault = str(error)
            summary = Summary(archive.path, State.DAMAGED, archive.id, archive.size)
            _add_headers(summary, archive)
            summary.fault = summary.fault or f"no footer can be read: {fault}"
        return summary


def _add_footer(summary: Summary, archive: ArchiveReader) -> None:
    """Raises CodecError if the footer cannot be read."""
    index, _ = read_index(archive, verify_filters=False)
    for header in index.headers:
        summary.add(header)
    summary.types = index.footer.types
    summary.removed = index.footer.removed
    summary.lost = sum(gap.events or 0 for gap in index.footer.gaps)


def _add_headers(summary: Summary, archive: ArchiveReader) -> None:
    """Walk from header to header. The first part that cannot be read is the fault, unless a process is writing it now."""
    if archive.size == 0 and not archive.live:
        summary.state, summary.fault = State.DAMAGED, "empty file"
    for part in archive.parts(frames=False):
        if isinstance(part, StoredBatch):
            summary.add(part.header)
        elif isinstance(part, Gap) and not (archive.live and part.harmless):
            summary.state = State.DAMAGED
            summary.fault = summary.fault or f"at {part.offset}: {part}"
