"""Position: the place of an event, as a value with one text form.

Pure. Invariant: a position never changes. `compact`, repacking and `repair` keep the number of every event, so a position that
was printed, stored or published once finds the same event for as long as the archive exists.
"""

import re
from dataclasses import dataclass
from typing import Self

from consumer.archive.naming import ArchiveId

_TEXT = re.compile(
    r"(?P<instance>[A-Za-z0-9][A-Za-z0-9._-]{0,63})-(?P<sequence>\d{8,19}):(?P<event>\d{1,19})", re.ASCII
)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """An event of an archive. `event` counts the events of the archive from 0. Positions of one instance are in order."""

    instance: str
    sequence: int
    event: int

    def __str__(self) -> str:
        return f"{self.archive}:{self.event}"

    @property
    def archive(self) -> ArchiveId:
        """The archive that holds the event."""
        return ArchiveId(self.instance, self.sequence)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The position of a text such as `a1-00000007:41`, which `str` returns. More zeros before a number change nothing.

        Raises ValueError for any other text, and TypeError for a value that is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"position: expected a text, found {text!r} of type {type(text).__name__}")
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"position {text!r}, expected INSTANCE-SEQUENCE:EVENT such as 'a1-00000007:41'")
        return cls(match["instance"], int(match["sequence"]), int(match["event"]))
