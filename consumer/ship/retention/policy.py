"""The policy of retention: which archives of one place go, oldest first, and why; which stay, and why. Pure: the time is an argument.

Invariants: without a limit nothing goes. An archive that must stay counts in the totals, and the next one may go in its stead. Nothing
goes that no limit asks for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from consumer.archive.naming import ArchiveId
from consumer.ship.retention.limits import Limits


@dataclass(frozen=True, slots=True)
class Candidate:
    """An archive at one place. `name`: its path below the place. `size`: bytes that its removal frees. `last_us`: arrival of its last event."""

    archive: ArchiveId
    name: str
    size: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Stay:
    """Why an archive must stay. `intended`: a hold, or the rule that the newest one stays; nothing has to be done about it."""

    text: str
    intended: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to an archive. `wanted`: the limits that ask for its removal. `stays`: why it must stay nevertheless."""

    candidate: Candidate
    wanted: tuple[str, ...]
    stays: tuple[Stay, ...] = ()

    @property
    def goes(self) -> bool:
        """Whether the archive goes."""
        return bool(self.wanted) and not self.stays

    @property
    def reason(self) -> str:
        """Why it goes, or why it stays."""
        if not self.wanted:
            return "within the limits"
        return "; ".join(map(str, self.stays or self.wanted))

    @property
    def blocked(self) -> bool:
        """Whether the archive stays although a limit asks for its removal, and somebody should know."""
        return bool(self.wanted) and any(not stay.intended for stay in self.stays)


def decide(
    candidates: Iterable[Candidate],
    limits: Limits,
    now_us: int,
    free: int,
    why_stays: Callable[[Candidate], Sequence[Stay]],
) -> list[Decision]:
    """A decision for each archive of a place, oldest first. `free`: free bytes of its disk.

    `why_stays` gives the reasons why an archive must stay whatever the limits are. It is asked only for archives that a limit asks for.
    """
    ordered = sorted(candidates, key=lambda one: (one.last_us, one.archive))
    total, count = sum(one.size for one in ordered), len(ordered)
    found = []
    for one in ordered:
        wanted = limits.exceeded((now_us - one.last_us) / 1e6, total, count, free)
        stays = tuple(why_stays(one)) if wanted else ()
        found.append(Decision(one, wanted, stays))
        if found[-1].goes:
            total, count, free = total - one.size, count - 1, free + one.size
    return found
