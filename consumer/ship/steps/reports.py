"""What the log says about steps on seal. Invariant: a step that fails for many archives has a line once in REPORT_S seconds, not one for each."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from consumer import log
from consumer.archive import naming
from consumer.ship.steps import log_events

REPORT_S = 60.0


@dataclass
class Reports:
    """The reports of one directory. `clock`: monotonic, in seconds."""

    clock: Callable[[], float] = time.monotonic
    _failing: dict[str, set[naming.ArchiveId]] = field(default_factory=dict)
    _reported: dict[str, float] = field(default_factory=dict)
    _waiting: dict[tuple[naming.ArchiveId, str], str] = field(default_factory=dict)

    @property
    def failing(self) -> int:
        """How many archives have a step that failed and is not done yet."""
        return len(set().union(*self._failing.values()))

    @property
    def waiting(self) -> int:
        """How many archives have a step that waits."""
        return len({archive for archive, _ in self._waiting})

    def done(self, archive: naming.ArchiveId, step: str, path: str) -> None:
        """A step is done."""
        self._failing.get(step, set()).discard(archive)
        self._waiting.pop((archive, step), None)
        log.emit(log_events.STEP_DONE, archive=str(archive), step=step, path=path)

    def waits(self, archive: naming.ArchiveId, step: str, reason: str) -> None:
        """A step waits. It is logged when the reason is new."""
        self._failing.get(step, set()).discard(archive)
        if self._waiting.get((archive, step)) != reason:
            self._waiting[archive, step] = reason
            log.emit(log_events.STEP_WAITING, archive=str(archive), step=step, reason=reason)

    def defect(self, archive: naming.ArchiveId, path: Path, step: str, reason: str, wait_s: float) -> None:
        """A step failed with an exception that Deedbox does not expect. It is logged each time."""
        self._failing.setdefault(step, set()).add(archive)
        log.emit(log_events.STEP_DEFECT, path=str(path), step=step, reason=reason, wait_s=wait_s)

    def failed(self, archive: naming.ArchiveId, path: Path, step: str, reason: str, wait_s: float) -> None:
        """A step failed. It is logged each time if it fails for one archive only, and once in REPORT_S seconds if it fails for more."""
        failing = self._failing.setdefault(step, set())
        first = not failing or failing == {archive}
        failing.add(archive)
        now = self.clock()
        if not first and now - self._reported.get(step, float("-inf")) < REPORT_S:
            return
        self._reported[step] = now
        log.emit(
            log_events.STEP_FAILED, archive=str(archive), path=str(path), step=step, reason=reason, archives=len(failing),
            wait_s=wait_s,
        )  # fmt: skip
