"""Which of marked and unmarked events a reader shows: one definition for all of them.

An event is marked when the broker delivered its message again and it equals an archived one. The mark hides it from readers by default
and deletes nothing. Invariant: what was hidden is counted, so that a reader can say so.
"""

from typing import Literal

from codec.event import Event

Mode = Literal["hide", "show", "only"]


class Duplicates:
    """A filter of one reader. `hidden`: how many marked events it has hidden so far."""

    def __init__(self, mode: Mode = "hide") -> None:
        self.mode: Mode = mode
        self.hidden = 0

    def shows(self, event: Event) -> bool:
        """Whether the reader shows this event, which it would show but for the mark."""
        if self.mode == "show":
            return True
        marked = bool(event.duplicate)
        self.hidden += marked and self.mode == "hide"
        return marked == (self.mode == "only")

    def report(self) -> str:
        """One line on what was hidden; empty if there is nothing to say."""
        if not self.hidden:
            return ""
        if self.hidden == 1:
            return "1 event hidden, which is marked as a duplicate; --duplicates show prints it"
        return f"{self.hidden:,} events hidden, which are marked as duplicates; --duplicates show prints them"
