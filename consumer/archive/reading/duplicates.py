"""Which marked events a reader shows: one rule for all readers.

An event is marked as a duplicate if the broker delivered its message again and it equals an archived event. By default, readers hide
marked events; nothing is deleted. Invariant: every hidden event is counted, so that a reader can report it.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from codec.event import Event

N = TypeVar("N")


class DuplicateMode(StrEnum):
    """The treatment of marked events by a reader. The values are those of `--duplicates`."""

    HIDE = "hide"
    SHOW = "show"  # show them too
    ONLY = "only"  # show only them


class Duplicates:
    """The filter of one reader. `hidden`: how many marked events it has hidden so far."""

    def __init__(self, mode: DuplicateMode = DuplicateMode.HIDE) -> None:
        self.mode = mode
        self.hidden = 0

    def shows(self, event: Event) -> bool:
        """Whether the reader shows this event. Ask only for an event that matches in every other respect."""
        if self.mode is DuplicateMode.SHOW:
            return True
        marked = bool(event.duplicate)
        self.hidden += marked and self.mode is DuplicateMode.HIDE
        return marked == (self.mode is DuplicateMode.ONLY)

    def shown(self, numbered: Sequence[tuple[N, Event]]) -> Sequence[tuple[N, Event]]:
        """Those of numbered events that the reader shows. As `shows` for each event, and fast if no event is marked."""
        if self.mode is not DuplicateMode.ONLY and not any(event.duplicate for _, event in numbered):
            return numbered
        return [pair for pair in numbered if self.shows(pair[1])]

    def report(self) -> str:
        """One line about the hidden events; empty if there are none."""
        if not self.hidden:
            return ""
        if self.hidden == 1:
            return "1 event hidden, which is marked as a duplicate; --duplicates show prints it"
        return f"{self.hidden:,} events hidden, which are marked as duplicates; --duplicates show prints them"
