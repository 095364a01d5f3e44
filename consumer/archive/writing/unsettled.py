"""Unsettled events: which archived events of one instance the broker may deliver again.

When a generation of the consumer (one channel) ends without a clean stop, up to a window of its newest events is unacknowledged.
The broker delivers them again when it notices that the channel is closed. That may be late: by then, later generations may have
archived more than a window, and may have ended too. Therefore the last window of each generation counts, and not the last window of
the instance. `begins` are the places at which generations began to archive, in order; the ledger keeps them.
Invariants: only heads, headers and footers are read. The result has fixed limits: a window for each of BEGINS_MAX generations, a
number of events, and AGE_US of consuming since the generation ended. Within a generation, times of arrival limit nothing, because the
clock may be set while it consumes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from consumer import log
from consumer.archive import log_events, naming
from consumer.archive.reading.catalog import all_batches
from consumer.archive.reading.reader import StoredBatch, open_archive

AGE_US = 30 * 60 * 1_000_000  # RabbitMQ closes a channel if an acknowledgement is missing for this time
# The largest prefetch of AMQP, and the deliveries before the window was raised to it.
WINDOW_MAX = 65_535 + 65_535 // 3 + 1
BEGINS_MAX = 256  # generations that are remembered; the broker notices a dead connection within 30 s
EVENTS_MAX = 262_140  # events of all instances together

EventPlace = tuple[int, int]  # sequence and event
FIRST: EventPlace = (0, 0)
END_OF_ARCHIVE = 1 << 64  # more events than an archive holds
_LAST: EventPlace = (END_OF_ARCHIVE, 0)


@dataclass(frozen=True, slots=True)
class EventRange:
    """Batches of one archive, in order."""

    path: Path
    sequence: int
    batches: list[StoredBatch]

    @property
    def end(self) -> EventPlace:
        """The last event."""
        return self.sequence, end_of(self.batches[-1]) - 1


@dataclass
class Plan:
    """The ranges to read, newest first, and the begins that still separate generations whose events may be delivered again."""

    ranges: list[EventRange] = field(default_factory=list)
    events: int = 0
    begins: tuple[EventPlace, ...] = ()


def plan(
    paths: dict[int, Path], begins: tuple[EventPlace, ...], durable: Callable[[Path], int | None],
    after: EventPlace = FIRST, events_max: int = EVENTS_MAX,
) -> Plan:  # fmt: skip
    """The batches whose events may be delivered again, from the newest generation back.

    `paths`: the archives by sequence. `durable`: how many events of an open archive are durable, None for all of them. `after`: the last
    event that is known already. An archive that cannot be read is left out: a redelivery of its events is then archived without a mark.
    """
    found = Plan()
    batches_of = _LastArchive(durable)
    paths = {one: path for one, path in paths.items() if (one, END_OF_ARCHIVE) > after}
    consumed_us, upper = 0, _LAST
    for begin in (*sorted(set(begins), reverse=True)[:BEGINS_MAX], FIRST):
        sequences = [one for one in paths if (one, END_OF_ARCHIVE) > begin and (one, 0) < upper]
        if sequences and (consumed_us > AGE_US or found.events >= events_max):
            break
        if sequences:  # otherwise the generation archived no event, or its archives are gone or known already
            if upper != _LAST:
                found.begins = (upper, *found.begins)
            generation = _Generation(begin, upper, {one: paths[one] for one in sequences}, batches_of)
            generation.add_last_window(found, events_max)
            consumed_us += generation.consumed_us()
        upper = begin
    return found


class _LastArchive:
    """The batches of an archive. Those of the last archive are cached, because several generations may have written to it."""

    def __init__(self, durable: Callable[[Path], int | None]) -> None:
        self._durable = durable
        self._path: Path | None = None
        self._found: tuple[list[StoredBatch], int] = [], 0

    def of(self, path: Path) -> tuple[list[StoredBatch], int] | None:
        """The durable batches and the window that the archive was written with; None if it cannot be read."""
        if path != self._path:
            try:
                self._found = _batches(path, self._durable(path) if naming.parse_open(path) else None)
            except OSError as error:
                log.emit(log_events.RECOVERY_DEFERRED, path=str(path), reason=str(error))
                return None
            self._path = path
        return self._found


@dataclass
class _Generation:
    """The events from `begin` up to `upper`, which belongs to the next generation."""

    begin: EventPlace
    upper: EventPlace
    paths: dict[int, Path]
    batches_of: _LastArchive
    last_us: int | None = None

    def add_last_window(self, found: Plan, events_max: int) -> None:
        """Add the newest batches of the generation, as many as the window covers."""
        window = taken = 0
        for sequence in sorted(self.paths, reverse=True):
            read = self._batches(sequence)
            if read is None:
                continue
            batches, head_window = read
            window = max(window, min(head_window, WINDOW_MAX))
            if batches and self.last_us is None:
                # The arrival of the last batch, and not the latest arrival, because the clock may have been set back.
                self.last_us = batches[-1].header.last_arrived_us
            recent = self._newest(batches, sequence, min(window - taken, events_max - found.events))
            taken += (count := sum(self._count(batch, sequence) for batch in recent))
            found.events += count
            if recent:
                found.ranges.append(EventRange(self.paths[sequence], sequence, recent))
            if batches and (taken >= window or len(recent) < len(batches)):
                return

    def _newest(self, batches: list[StoredBatch], sequence: int, events: int) -> list[StoredBatch]:
        """The last batches that hold this number of events, in order."""
        at = len(batches)
        while at and events > 0:
            at -= 1
            events -= self._count(batches[at], sequence)
        return batches[at:]

    def consumed_us(self) -> int:
        """The time from the first to the last arrival of the generation. The broker delivered to it for at least this time."""
        for sequence in sorted(self.paths):
            read = self._batches(sequence)
            if read and read[0] and self.last_us is not None:
                return max(self.last_us - read[0][0].header.first_arrived_us, 0)
        return 0

    def _batches(self, sequence: int) -> tuple[list[StoredBatch], int] | None:
        read = self.batches_of.of(self.paths[sequence])
        return read and ([batch for batch in read[0] if self._count(batch, sequence) > 0], read[1])

    def _count(self, batch: StoredBatch, sequence: int) -> int:
        """How many events of a batch belong to the generation. A batch that repacking merged may belong to several generations."""
        first = self.begin[1] if sequence == self.begin[0] else 0
        end = self.upper[1] if sequence == self.upper[0] else END_OF_ARCHIVE
        return min(end_of(batch), end) - max(batch.header.first_event, first)


def _batches(path: Path, durable: int | None) -> tuple[list[StoredBatch], int]:
    """The batches with the first `durable` events of an archive, without their frames; and the window that it was written with."""
    if durable == 0:
        return [], 0
    with open_archive(path) as archive:
        if archive.head is None:
            return [], 0  # damaged: its window is unknown
        found = all_batches(archive)
        return [one for one in found if durable is None or end_of(one) <= durable], archive.head.window


def end_of(batch: StoredBatch) -> int:
    """The number after that of its last event."""
    return batch.header.first_event + batch.header.events
