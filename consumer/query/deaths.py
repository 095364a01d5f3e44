"""Dead-lettered events: which ones a filter selects, and the fields of a death by which `stats` groups them. Pure.

Invariant: `x-death.NAME` and the filters mean the first death of an event, so that a filter selects exactly the events of a group, and they are
those that `replay --to-origin` sends back there. `x-last-death.NAME` is the last death.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from codec.deaths import Death, Deaths, deaths_of
from codec.event import Event

_MEMBERS: dict[str, Callable[[Death], str | None]] = {
    "queue": lambda death: death.queue,
    "reason": lambda death: death.reason,
    "count": lambda death: None if death.count is None else str(death.count),
    "exchange": lambda death: death.exchange,
    "routing-key": lambda death: death.routing_keys[0] if death.routing_keys else None,
}
_DEATHS: dict[str, Callable[[Deaths], Death]] = {
    "x-death": lambda deaths: deaths.first,
    "x-last-death": lambda deaths: deaths.last,
}
FIELDS = tuple(f"{which}.{member}" for which in _DEATHS for member in _MEMBERS)

_deaths_of = lru_cache(maxsize=16)(deaths_of)  # several fields of one event follow each other


def is_death_field(name: str) -> bool:
    """Whether a name is a field of a death, or would be one if it were spelled correctly."""
    return name.partition(".")[0] in _DEATHS


def death_field(name: str) -> Callable[[Event], str | None]:
    """The function for one of FIELDS. Raises KeyError for any other name."""
    which, _, member = name.partition(".")
    choose, show = _DEATHS[which], _MEMBERS[member]

    def value(event: Event) -> str | None:
        deaths = _deaths_of(event.header)
        return None if deaths is None else show(choose(deaths))

    return value


@dataclass(frozen=True, slots=True)
class DeathFilter:
    """Accepts events that died first in a queue, and for a reason. `queue`: a glob. None: any."""

    queue: str | None = None
    reason: str | None = None

    def accepts(self, event: Event) -> bool:
        """Whether an event was dead-lettered, and its first death fulfils both."""
        deaths = _deaths_of(event.header)
        if deaths is None:
            return False
        first = deaths.first
        return (self.queue is None or fnmatchcase(first.queue or "", self.queue)) and self.reason in (
            None,
            first.reason,
        )
