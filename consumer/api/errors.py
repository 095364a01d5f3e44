"""The error that a program gets if a part of its archives cannot be read."""

from collections.abc import Sequence

from consumer.archive.reading.fault import ReadFault
from consumer.errors import DeedboxError


class ReadError(DeedboxError):
    """A part of the archives could not be read.

    It is raised after the last event, so that the caller has all events that can be read. `faults`: what could not be
    read, each with `path`, `offset` (in bytes, or None) and `reason`.
    """

    def __init__(self, faults: Sequence[ReadFault]) -> None:
        others = f" (and {len(faults) - 1} more, see `faults`)" if len(faults) > 1 else ""
        super().__init__(
            f"not everything could be read: {faults[0]}{others}", "check the archives with `deedbox verify`"
        )
        self.faults = list(faults)
