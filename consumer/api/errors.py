"""The errors that a program gets: a part of its archives cannot be read, or an argument has a wrong type."""

import reprlib
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


def wrong_type(name: str, found: object, expected: str) -> TypeError:
    """The error for an argument of a wrong type."""
    return TypeError(f"{name}: expected {expected}, found {reprlib.repr(found)} of type {type(found).__name__}")
