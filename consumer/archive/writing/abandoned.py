"""Open archives that wait for recovery while the service runs: their writer failed, or the disk refused them at the start.

Invariants: an archive waits until it is sealed, repaired, empty or gone; recoveries that fail again and again use RECOVERY_SHARE of the
time at most. Used by the writer thread alone.
"""

from collections.abc import Callable
from pathlib import Path

from consumer.archive.layout import Layout
from consumer.archive.writing import recovery
from consumer.archive.writing.finding import Abandoned, Outcome, log_finding, log_lost_events
from consumer.archive.writing.sealing import Sealed
from consumer.disk.durable import Disk

RECOVERY_SHARE = 0.1  # of the time, at most, is spent on recoveries that fail again and again
QUICK_S = 0.1  # a faster recovery may be tried again at any time
_DONE = (Outcome.SEALED, Outcome.REPAIRED, Outcome.EMPTY, Outcome.GONE)


class AbandonedArchives:
    """The archives that wait. `clock`: monotonic, in seconds; `on_sealed` is called for each archive that recovery sealed."""

    def __init__(
        self, disk: Disk, layout: Layout, clock: Callable[[], float], on_sealed: Callable[[Sealed], None]
    ) -> None:
        self.not_before_s = 0.0  # when the next recovery may begin, by the clock; 0: at any time
        self._disk, self._layout, self._clock, self._on_sealed = disk, layout, clock, on_sealed
        self._waiting: list[Abandoned] = []

    def add(self, archive: Abandoned) -> None:
        """Keep an archive for recovery."""
        self._waiting.append(archive)

    @property
    def paths(self) -> frozenset[Path]:
        """The archives that wait."""
        return frozenset(archive.path for archive in self._waiting)

    @property
    def are_due(self) -> bool:
        """Whether archives wait that could not be tried at the last attempt, and may be tried now."""
        return 0 < self.not_before_s <= self._clock()

    def recover(self) -> None:
        """Recover the archives, as far as the disk allows. The others stay for later."""
        began = self._clock()
        if began < self.not_before_s:
            return
        for archive in list(self._waiting):
            self._recover(archive)
        took_s = self._clock() - began
        # Recovery reads each archive from its beginning, and on a disk that accepts no footer more and more archives wait.
        self.not_before_s = began + took_s / RECOVERY_SHARE if self._waiting and took_s > QUICK_S else 0.0

    def _recover(self, archive: Abandoned) -> None:
        finding = recovery.recover(self._disk, self._layout, archive.path, archive)
        log_finding(finding)
        if finding.outcome in _DONE:
            self._waiting.remove(archive)
            log_lost_events(archive, finding)
        if finding.sealed is not None:
            self._on_sealed(finding.sealed)
