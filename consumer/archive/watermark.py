"""How much an instance has committed, for other processes: one small file, written in place after each sync.

Invariants: the watermark is written after the sync of the batch that it counts, and before the batch is acknowledged.
Therefore the events that it counts are durable, and, unless the machine lost power, other events were not acknowledged. It is
not synced: after a power cut it may be older than the archive, and never newer.
"""

from pathlib import Path

from codec.errors import CodecError
from codec.watermark import WATERMARK_BYTES, Watermark, decode_watermark, encode_watermark
from consumer.archive import naming
from consumer.disk.durable import Disk, is_held, read_regular

READ_ATTEMPTS = 5  # the record may be read while it is written; a write needs about a microsecond


def watermark_path(directory: Path, instance: str) -> Path:
    """The file of one instance."""
    return directory / f"{instance}.committed"


def publish_watermark(disk: Disk, directory: Path, instance: str, mark: Watermark) -> None:
    """Write the watermark. Raises OSError; the old watermark then stays valid."""
    disk.overwrite(watermark_path(directory, instance), encode_watermark(mark))


def read_watermark(directory: Path, instance: str) -> Watermark | None:
    """The watermark of an instance; None if there is none, or if it cannot be read."""
    for _ in range(READ_ATTEMPTS):
        try:
            return decode_watermark(read_regular(watermark_path(directory, instance), WATERMARK_BYTES))
        except OSError:
            return None
        except CodecError:
            continue
    return None


def durable_events(disk: Disk, path: Path) -> int | None:
    """How many events of an open archive are durable, counted from its beginning; None for all of its whole batches.

    Bytes that can be read need not be on the disk: the writer may not have synced them yet, or its sync may have
    failed. Therefore an archive of a running instance counts up to the watermark of the instance, and has no durable event if the
    watermark is missing or names another archive. If no process holds the instance, the archive is synced here and counts as a whole.
    Raises OSError if that sync fails, and FileNotFoundError if the archive was sealed in the meantime.
    """
    archive = naming.parse_open(path)
    assert archive is not None, "only open archives need this"
    if not (is_alive(path.parent, archive.instance) or is_held(path)):
        disk.sync_path(path)
        return None
    mark = read_watermark(path.parent, archive.instance)
    return mark.events if mark is not None and mark.sequence == archive.sequence else 0


def is_alive(directory: Path, instance: str) -> bool:
    """Whether a process holds the instance."""
    lock = naming.lock_path(directory, instance)
    return lock.exists() and is_held(lock)
