"""The parts of an archive as a reader finds them: batches, gaps, and the seal at the end."""

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from codec import archive as container
from codec import kvp, projection
from codec.archive import BatchHeader
from codec.errors import Corrupt
from codec.event import Event
from codec.footer import Footer, IndexRow
from codec.gap import Gap
from consumer.archive.reading.file_range import frame_pieces


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch whose header is whole. `frame`: the bytes of the frame in pieces, readable while the archive is open; None if they were not read."""

    offset: int
    header: BatchHeader
    frame: Iterable[bytes] | None = None

    @property
    def size(self) -> int:
        """Bytes of header and frame."""
        return container.BATCH_HEADER_BYTES + self.header.compressed

    def events(self, needed: Container[str] | None = None) -> list[Event]:
        """The events, checked. Their number is that of the header. Raises CodecError.

        `needed`: the fields of Event that the caller reads, for `codec.projection`, which is faster.
        """
        expected = self.header.events
        pieces = self.records()
        found = kvp.decode_pieces(pieces) if needed is None else projection.decode(pieces, needed)
        events = list(islice(found, expected + 1))  # one more than expected shows that there are too many
        if len(events) != expected:
            raise Corrupt(f"{'more' if len(events) > expected else len(events)} events found, {expected} expected")
        return events

    def records(self) -> Iterator[bytes]:
        """The KVP records, checked, in pieces of whole records. Raises CodecError."""
        assert self.frame is not None, "read with frames=False"
        container.check_frame(self.frame, self.header)
        return container.decompress(self.frame, self.header)


def with_frame(batch: StoredBatch, read: Callable[[int, int], bytes]) -> StoredBatch:
    """The batch with its frame, for a batch that was read without it. `read`: reads an offset and a size of the archive."""
    frame = frame_pieces(read, batch.offset + container.BATCH_HEADER_BYTES, batch.header.compressed)
    return replace(batch, frame=frame)


@dataclass(frozen=True, slots=True)
class Seal:
    """The footer of a sealed archive, with its index."""

    offset: int
    footer: Footer
    rows: list[IndexRow]


Part = StoredBatch | Gap | Seal
