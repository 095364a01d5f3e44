"""What each stage costs by itself, on one core, and how fast archives are read again."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from codec import archive, kvp
from codec import filter as bloom
from codec.event import Event
from consumer.amqp.delivery import Delivery
from consumer.amqp.receive import Splitter
from consumer.archive.checking.verify import verify
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger
from consumer.archive.listing import find_archives
from consumer.archive.reading.cat import OutputFormat, cat_archives
from consumer.archive.writing import recovery
from consumer.archive.writing.recent_events import RecentEvents
from consumer.disk.durable import Disk
from consumer.ingest.batcher import Batcher, BatchLimits
from consumer.ingest.describe import describe
from tests.bench.load import bodies
from tests.bench.replay import deliveries
from tests.support.archive_logs import archive_log, some

COUNT, BATCH = 20_000, 2000


def seconds_of(step: Callable[[], object], times: int = 3) -> float:
    """The best of a few."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        step()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _split(raw: bytes) -> list[list[Delivery]]:
    splitter = Splitter()
    return [splitter.feed(raw[at : at + 65_536], 1_763_741_700_000_000)[0] for at in range(0, len(raw), 65_536)]


def _batch(chunks: list[list[Delivery]]) -> None:
    batcher = Batcher(BatchLimits(BATCH, 1 << 30, 0.01))
    for chunk in chunks:
        batcher.add(chunk, 1.0)
        while batcher.count >= BATCH:
            batcher.take()


def _filter(events: list[Event]) -> None:
    for at in range(0, len(events), BATCH):
        bloom.build([bloom.key_hash("id", event.id) for event in events[at : at + BATCH]])


def _encode(events: list[Event]) -> list[bytes]:
    return [
        b"".join(kvp.encode_batch(events[at : at + BATCH], "bench-00000001", at)) for at in range(0, len(events), BATCH)
    ]


def stages(size: int) -> dict[str, float]:
    """Microseconds a message by stage."""
    raw, _ = deliveries(COUNT, size)
    chunks = _split(raw)
    flat = [delivery for chunk in chunks for delivery in chunk]
    events = [describe(delivery) for delivery in flat]
    batches = _encode(events)
    steps: dict[str, Callable[[], object]] = {
        "split frames": lambda: _split(raw),
        "batch": lambda: _batch(chunks),
        "describe": lambda: [describe(delivery) for delivery in flat],
        "encode records": lambda: _encode(events),
        "compress": lambda: [archive.compress(records, 1) for records in batches],
        "filter": lambda: _filter(events),
    }
    return {name: seconds_of(step) / COUNT * 1e6 for name, step in steps.items()}


def reading(size: int, count: int) -> dict[str, float]:
    """MB of records a second of decode and verify; seconds of recovery of a GiB; size against zstd -3 of the bodies."""
    raw, _ = deliveries(count, size)
    events = [describe(delivery) for chunk in _split(raw) for delivery in chunk]
    directory = Path(tempfile.mkdtemp(prefix="deedbox-bench-"))
    try:
        one = archive_log(directory)
        for at in range(0, count, BATCH):
            one.append(events[at : at + BATCH])
        assert one.writer is not None
        path, stored = one.writer.path, one.writer.fill.bytes
        one.writer.abandon()
        recovered_s = seconds_of(lambda: recovery.recover(Disk(), Layout(directory), path), times=1)
        records = one.writer.index.raw / 1e6
        verify_s = seconds_of(lambda: list(verify([directory])), times=2)
        with Path("/dev/null").open("wb") as nowhere:
            cat_s = seconds_of(lambda: cat_archives([directory], OutputFormat.JSONL, nowhere, print), times=2)
        batches = _encode(events)
        decode_s = seconds_of(lambda: [list(kvp.decode(found)) for found in batches], times=2)
        lines = b"\n".join(bodies(size, count))
        plain = subprocess.run(["zstd", "-3", "-c"], input=lines, check=True, capture_output=True).stdout
        sealed = find_archives([directory])[0].stat().st_size
    finally:
        shutil.rmtree(directory)
    return {
        "decode": records / decode_s, "cat": records / cat_s, "verify": records / verify_s, "recovery": recovered_s * (1 << 30) / stored,
        "size": sealed / len(plain),
    }  # fmt: skip


def starting(archives: int) -> tuple[float, float]:
    """Seconds to find the last sequence, and to read the last window, in a directory with this number of archives."""
    directory = Path(tempfile.mkdtemp(prefix="deedbox-bench-"))
    try:
        one = archive_log(directory)
        one.append(some(0, 100))
        one.roll("count")
        (sealed,) = find_archives([directory])
        for number in range(2, archives + 1):
            sealed.with_name(sealed.name.replace("00000001", f"{number:08d}")).hardlink_to(sealed)
        ledger_s = seconds_of(lambda: Ledger(Disk(), directory, "one"))
        return ledger_s, seconds_of(lambda: list(RecentEvents(Disk(), directory, "one", one.own).window()))
    finally:
        shutil.rmtree(directory)
