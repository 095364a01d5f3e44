"""Whether the archives still hold the event after which a follower continues.

Invariant: a follower never continues after an event that is gone or different, unless the event was deleted.
"""

from codec.errors import CodecError
from codec.event import Event
from codec.fingerprint import fingerprint
from consumer.archive.reading.catalog import all_batches
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import is_removed
from consumer.errors import Exit, Fatal
from consumer.follow.checkpoint import Confirmed


def check_confirmed(archive: ArchiveFile, at: Confirmed) -> None:
    """Raise Fatal unless the event that was confirmed is in the archive, or was deleted since."""
    try:
        event = _event_at(archive, at.position.event)
    except CodecError as error:
        raise not_there(at, f"{archive.path}: the batch of the event is damaged: {error}") from error
    if event is None:
        raise not_there(at, f"{archive.path}: the event is not in it")
    if not is_removed(event) and fingerprint(event) != at.fingerprint:
        raise not_there(at, f"{archive.path}: another event has this position")


def _event_at(archive: ArchiveFile, number: int) -> Event | None:
    for batch in all_batches(archive):
        first = batch.header.first_event
        if first <= number < first + batch.header.events:
            return archive.with_frame(batch).events()[number - first]
    return None


def not_there(at: Confirmed, why: str) -> Fatal:
    """The error that ends a follower: the last confirmed event cannot be found."""
    return Fatal(
        Exit.DAMAGED,
        f"the checkpoint ends at {at.position}: {why}",
        "restore the archive; or remove its entry from the checkpoint: then all that is there of this instance follows",
    )
