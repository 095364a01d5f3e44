"""Rewrite a sealed archive with other batches and the same events, as repacking does."""

from dataclasses import replace
from pathlib import Path

from xxhash import xxh3_64_intdigest

from codec import archive as container
from codec import kvp
from codec.event import Event
from codec.parts import checksum_of
from consumer.archive.reading.reader import ArchiveFile, Seal, StoredBatch
from consumer.archive.writing.index import ArchiveIndex
from consumer.disk.durable import Disk


def rewrite(path: Path, sizes: list[int]) -> None:
    """Divide the events of an archive without gaps into batches of these sizes, again and again."""
    with ArchiveFile(path) as archive:
        parts = list(archive.parts())
        batches = [part for part in parts if isinstance(part, StoredBatch)]
        head, id = archive.head_raw, str(archive.id)
    seal = parts[-1]
    assert isinstance(seal, Seal)
    events = [event for batch in batches for event in batch.events()]
    index, raw, at = ArchiveIndex(checksum_of(head)), head, 0
    while at < len(events):
        size = sizes[len(index.rows) % len(sizes)]
        raw += _batch(batches[0].header, index, events[at : at + size], id, at)
        at += size
    path.chmod(0o600)
    fresh = path.with_name(path.name + ".repacking")
    fresh.write_bytes(raw + index.encode_end(len(head), removed=seal.footer.removed))
    aside = path.with_name(path.name + ".old")
    Disk().replace_keeping(path, fresh, aside)
    aside.unlink()


def _batch(like: container.BatchHeader, index: ArchiveIndex, events: list[Event], id: str, first: int) -> bytes:
    raw = b"".join(kvp.encode_batch(events, id, first))
    frame = container.compress(raw, 1)
    times, arrivals = [event.time_us for event in events], [event.arrived_us for event in events]
    header = replace(
        like, number=len(index.rows), records=len(raw) // kvp.RECORD_BYTES, events=len(events), compressed=len(frame), raw=len(raw),
        first_event=first, first_us=min(times), last_us=max(times), first_arrived_us=min(arrivals), last_arrived_us=max(arrivals),
        frame_check=xxh3_64_intdigest(frame), previous=index.chain_checksum, check=0,
    )  # fmt: skip
    header_raw = container.encode_batch_header(header)
    index.add(container.decode_batch_header(header_raw), events)
    return header_raw + frame
