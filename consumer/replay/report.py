"""What a replay has done so far: counts, and the events that were not published, with the reasons.

Invariant: memory is bounded. At most LISTED_MAX events are listed; the others are counted.
"""

from collections import Counter
from enum import StrEnum

from codec.counted import counted
from codec.event import format_time
from consumer.amqp.outgoing import Outgoing
from consumer.replay.selection import Selected

LISTED_MAX = 1000


class Problem(StrEnum):
    """Why an event was not published. The values are those of the report."""

    UNROUTABLE = "unroutable"  # no queue took it
    REFUSED = "refused"  # the broker does not accept it
    UNPUBLISHABLE = "not publishable"  # it cannot be a message


class Report:
    """`confirmed` and `confirmed_bytes`: what the broker has confirmed. `last`: the last event that was sent. `problems`: lines, the first ones."""

    def __init__(self) -> None:
        self.confirmed = self.confirmed_bytes = 0
        self.last: Selected | None = None
        self.problems: list[str] = []
        self._counts: Counter[Problem] = Counter()

    @property
    def not_published(self) -> int:
        """How many events were not published and will not be."""
        return self._counts.total()

    def confirm(self, event: Selected) -> None:
        """Count a confirmed event."""
        self.confirmed += 1
        if isinstance(event.message, Outgoing):
            self.confirmed_bytes += len(event.message.body)

    def note(self, event: Selected, problem: Problem, reason: str) -> None:
        """Count and list an event that was not published."""
        self._counts[problem] += 1
        if len(self.problems) < LISTED_MAX:
            message = event.message if isinstance(event.message, Outgoing) else event
            where = f"exchange {message.exchange!r}, routing key {message.routing_key!r}"
            self.problems.append(f"{problem}: {event.position}: {where}: {reason}")

    def summary(self, seconds: float) -> str:
        """One line about what was confirmed."""
        rate = self.confirmed / seconds if seconds > 0 else 0.0
        size = counted(self.confirmed_bytes, "byte")
        return f"published: {counted(self.confirmed, 'event')}, {size}, in {seconds:.1f} s, {rate:,.0f} a second"

    def more(self) -> str:
        """One line with the counts of all events that were not published; empty if each one was."""
        if not self._counts:
            return ""
        kinds = ", ".join(f"{count:,} {problem}" for problem, count in sorted(self._counts.items()))
        unlisted = self.not_published - len(self.problems)
        rest = f"; {unlisted:,} of them are not listed" if unlisted else ""
        return f"not published: {counted(self.not_published, 'event')}: {kinds}{rest}"

    def place(self) -> str:
        """The position and the time of the last event that was sent."""
        if self.last is None:
            return "no event was sent"
        return f"the last event that was sent is {self.last.position} of {format_time(self.last.time_us)}"
