"""Gap: bytes in a file that are no record, or events that are missing. One value for archives, footers and foreign files.

Pure. Invariant: a reader covers every byte of a file: bytes that are no record belong to a gap, and the reader continues after it.
"""

from enum import StrEnum

import msgspec

from codec.counted import counted


class GapKind(StrEnum):
    """Why the bytes are no record. The values are those of the footer and of every report, and of acknowledgements."""

    TORN = "torn"  # cut short at the end of the file
    DAMAGED = "damaged"  # whole records follow
    MISSING = "missing"  # bytes or events were removed
    NEWER = "newer"  # written by a newer Deedbox


class Gap(msgspec.Struct, frozen=True, rename={"size": "bytes"}):
    """`size` bytes from `offset` on. In a footer: a gap that the archive had before it was repaired, at its place in the original.

    `first_event` and `events`: which events are lost, and how many; None if that is unknown. `harmless`: no event in it was ever
    acknowledged, because it is cut short or has only zeros.
    """

    offset: int
    size: int
    kind: GapKind
    reason: str
    first_event: int | None = None
    events: int | None = None
    harmless: bool = False

    def __str__(self) -> str:
        """Kind, size and reason; without a size if nothing was left of the missing events."""
        return (
            f"{self.kind}, {counted(self.size, 'byte')}: {self.reason}" if self.size else f"{self.kind}: {self.reason}"
        )

    @property
    def end(self) -> int:
        """The offset after its last byte."""
        return self.offset + self.size

    @property
    def loss(self) -> str:
        """The gap as a loss of events: how many, from which one on, and why."""
        lost = "an unknown number of events" if self.events is None else counted(self.events, "event")
        place = "" if self.first_event is None else f" from event {self.first_event} on"
        size = f", {counted(self.size, 'byte')}" if self.size else ""
        return f"{lost} lost{place}: {self.kind}{size}: {self.reason}"
