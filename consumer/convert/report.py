"""The result of an export, and the parts of events that the format could not hold."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from codec.event import Event


@dataclass
class ExportReport:
    """Counts of one export. Invariant: each part of an event that the format cannot hold is counted.

    `events`: events written. `left_out`: events not written, because the format cannot hold them. `unsupported`: number of events by
    the name of the part that is missing in the files.
    """

    events: int = 0
    files: list[Path] = field(default_factory=list)
    unsupported: Counter[str] = field(default_factory=Counter)
    left_out: int = 0

    def lacks(self, part: str, events: int = 1) -> None:
        """Count a part that is missing in the files, for a number of events."""
        self.unsupported[part] += events

    def count_delivery(self, event: Event) -> None:
        """Count an event that has another arrival than its time, or a flag, for a format that has no fields for them."""
        self.lacks("arrival time", event.arrived_us != event.time_us)
        self.lacks("redelivered and duplicate flags", event.redelivered or bool(event.duplicate))
