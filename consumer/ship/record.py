"""What this process knows of one destination: which files were verified there, and which could not be shipped.

Invariant: it is never stored. The state of shipping is what exists at the destination, and each start reads it there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from consumer.objects.store import StoredObject
from consumer.ship.local_files import Stamp
from consumer.ship.pacing import Backoff

Stamps = tuple[Stamp, ...]


@dataclass(slots=True)
class Problem:
    """Why a file was not shipped, and when it is tried again. `lasting`: a retry does not help, somebody must act."""

    stamp: Stamps
    reason: str = ""
    lasting: bool = False
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class _Verified:
    stamp: Stamps
    size: int
    etag: str | None


class Record:
    """The verified files and the problems of one destination, by name."""

    def __init__(self) -> None:
        self._verified: dict[str, _Verified] = {}
        self.problems: dict[str, Problem] = {}

    def keep(self, names: Iterable[str]) -> None:
        """Forget all files but these: the others are not in the directory any more."""
        known = set(names)
        self._verified = {name: one for name, one in self._verified.items() if name in known}
        self.problems = {name: one for name, one in self.problems.items() if name in known}

    def is_verified(self, name: str, stamp: Stamps | None = None) -> bool:
        """Whether the object of a file was verified; with `stamp`, of this state of the file."""
        found = self._verified.get(name)
        return found is not None and stamp in (None, found.stamp)

    def verified(self, name: str, stamp: Stamps, info: StoredObject) -> None:
        """Note that the object was compared with the file in the state `stamp`."""
        self._verified[name] = _Verified(stamp, info.size, info.etag)
        self.problems.pop(name, None)

    def waits(self, name: str, stamp: Stamps, now: float) -> Problem | None:
        """The problem of a file that failed in this state and is not tried again yet."""
        problem = self.problems.get(name)
        if problem is None or problem.stamp != stamp or problem.backoff.wait_s(now) <= 0:
            return None
        return problem

    def failures(self, name: str) -> int:
        """How often a file has failed."""
        problem = self.problems.get(name)
        return problem.backoff.failures if problem else 0

    def failed(self, name: str, stamp: Stamps, reason: str, now: float, lasting: bool) -> float:
        """Note a failure. Returns after how many seconds the file is tried again."""
        problem = self.problems.get(name)
        if problem is None or problem.stamp != stamp:
            problem = self.problems[name] = Problem(stamp)
        problem.reason, problem.lasting = reason, lasting
        return problem.backoff.failed(now)

    def changed_there(self, listed: dict[str, StoredObject]) -> list[tuple[str, str]]:
        """Compare with a listing of the destination. Forgets files that are not there as they were verified, and returns them with a reason."""
        gone: list[tuple[str, str]] = []
        for name, one in self._verified.items():
            info = listed.get(name)
            if info is None:
                gone.append((name, "the object was removed"))
            elif (info.size, info.etag) != (one.size, one.etag):
                gone.append((name, "the object was replaced"))
        for name, _ in gone:
            del self._verified[name]
        return gone
