"""The last events of an archive, without reading what comes before them."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from codec.event import Event
from consumer.archive.reader import Batch, events_or_none, open_archive


def last_events(path: Path, count: int) -> Iterator[tuple[int, Event]]:
    """Up to `count` events from the end of an archive, or a few more, in order, each with its number in the archive.

    Batches that cannot be read are left out.
    """
    with open_archive(path) as archive:
        tail: deque[tuple[int, Batch]] = deque()
        held = before = 0
        for part in archive.parts(frames=False):
            if isinstance(part, Batch):
                tail.append((before, part))
                before += part.header.events
                held += part.header.events
                while held - tail[0][1].header.events >= count:
                    held -= tail.popleft()[1].header.events
        for first, batch in tail:
            yield from enumerate(events_or_none(archive, batch), first)
