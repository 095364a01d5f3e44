"""ReadFault: something that could not be read, as a value with its place and its reason.

Invariant: a reader that finds a fault reports it, and continues with the next batch or archive.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from consumer.archive.location import Location
from consumer.objects.errors import ObjectError

if TYPE_CHECKING:
    from consumer.archive.reading.found import StoredBatch


@dataclass(frozen=True, slots=True)
class ReadFault:
    """A part that could not be read. `offset`: bytes from the beginning of the file; None if the fault has no place in it."""

    path: Location
    offset: int | None
    reason: str

    @classmethod
    def of(cls, path: Location, error: Exception) -> Self:
        """The fault of a file that cannot be opened or read at all."""
        if isinstance(error, ObjectError):
            return cls(path, None, f"{error.reason}; {error.do}" if error.do else error.reason)
        return cls(path, None, getattr(error, "strerror", None) or str(error))

    def __str__(self) -> str:
        """One line for a person: path, offset, reason."""
        place = "" if self.offset is None else f"at {self.offset}: "
        return f"{self.path}: {place}{self.reason}"


def batch_fault(path: Location, batch: "StoredBatch", error: Exception) -> ReadFault:
    """The fault of a batch whose events cannot be read."""
    return ReadFault(path, batch.offset, f"batch {batch.header.number}: {error}")
