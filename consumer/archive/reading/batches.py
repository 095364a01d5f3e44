"""Encode events as batches: header and frame, as an archive holds them.

Pure. Invariant: a batch is within the limits of FORMAT.md. Events that do not fit into one batch become several batches, in order.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from codec import archive as container
from codec import kvp
from codec.archive import BatchHeader
from codec.event import Event


class Slot(NamedTuple):
    """The place of a batch: its archive, its number, the number of its first event, and the checksum of the part before it."""

    archive: str
    number: int
    first_event: int
    chain_checksum: int


class EncodedBatch(NamedTuple):
    """A batch as bytes. `raw`: header and frame."""

    header: BatchHeader
    raw: bytes
    events: Sequence[Event]


def encode_batches(
    events: Sequence[Event], slot: Slot, level: int, tuning: Mapping[int, int] | None = None
) -> Iterator[EncodedBatch]:
    """One batch, or several if the limits require it. `level` and `tuning`: of the compression. Raises TooLarge for an event that fits into no archive."""
    records = b"".join(kvp.encode_batch(events, slot.archive, slot.first_event))
    if len(records) <= container.raw_max(len(events)) or len(events) == 1:
        yield _encode(events, slot, container.compress(records, level, tuning), len(records))
        return
    del records
    middle = len(events) // 2
    for part in (events[:middle], events[middle:]):
        for encoded in encode_batches(part, slot, level, tuning):
            yield encoded
            slot = Slot(slot.archive, slot.number + 1, slot.first_event + encoded.header.events, encoded.header.check)


def _encode(events: Sequence[Event], slot: Slot, frame: bytes, raw: int) -> EncodedBatch:
    times = [event.time_us for event in events]
    arrivals = [event.arrived_us for event in events]
    header = BatchHeader(
        slot.number, raw // kvp.RECORD_BYTES, len(events), len(frame), raw, slot.first_event,
        min(times), max(times), min(arrivals), max(arrivals), xxh3_64_intdigest(frame), slot.chain_checksum, check=0,
    )  # fmt: skip
    header_raw = container.encode_batch_header(header)
    return EncodedBatch(container.decode_batch_header(header_raw), header_raw + frame, events)
