"""Deedbox from Python: read the archives that `deedbox run` writes.

    import deedbox

    for event in deedbox.open("/var/lib/deedbox").search(since="2h", types=["compute.*"]):
        print(event.position, event.time, event.json())

`deedbox.files` has the file monitor, and `deedbox.prefetch` runs work ahead of its reader. `README.md` in this folder is the manual.
This package only re-exports; the code is in `consumer` and `codec`.
"""

from codec.errors import CodecError
from consumer.api.archives import Archives, arrow, open  # noqa: A004 -- `deedbox.open` reads as `gzip.open` does
from consumer.api.errors import ReadError
from consumer.api.event import ArchivedEvent
from consumer.api.events import Events
from consumer.api.filters import Filters
from consumer.archive.position import Position
from consumer.archive.reading.fault import ReadFault
from consumer.errors import DeedboxError

__all__ = [
    "ArchivedEvent",
    "Archives",
    "CodecError",
    "DeedboxError",
    "Events",
    "Filters",
    "Position",
    "ReadError",
    "ReadFault",
    "arrow",
    "open",
]
