"""Which marked events a reader shows: one rule for all readers.

An event is marked as a duplicate if the broker delivered its message again and it equals an archived event. By default, readers hide
marked events; nothing is deleted. Invariant: every hidden event is counted, so that a reader can report it.
"""

from typing import Literal

from codec.event import Event

Mode = Literal["hide", "show", "only"]


class Duplicates:
    """The filter of one reader. `hidden`: how many marked events it has hidden so far."""

    def __init__(self, mode: Mode = "hide") -> None:
        self.mode: Mode = mode
        self.hidden = 0

    def shows(self, event: Event) -> bool:
        """Whether the reader shows this event. Ask only for an event that matches in every other respect."""
        if self.mode == "show":
            return True
        marked = bool(event.duplicate)
        self.hidden += marked and self.mode == "hide"
        return marked == (self.mode == "only")

    def report(self) -> str:
        """One line about the hidden events; empty if there are none."""
        if not self.hidden:
            return ""
        if self.hidden == 1:
            return "1 event hidden, which is marked as a duplicate; --duplicates show prints it"
        return f"{self.hidden:,} events hidden, which are marked as duplicates; --duplicates show prints them"
