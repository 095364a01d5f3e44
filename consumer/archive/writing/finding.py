"""The result of recovery or repair for an archive, as a value and as a line of the log."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from codec.gap import Gap, GapKind
from consumer import log
from consumer.archive import log_events
from consumer.archive.listing import find_again
from consumer.archive.location import Location
from consumer.archive.naming import OPEN_SUFFIX
from consumer.archive.writing.sealing import Sealed


class Outcome(StrEnum):
    """The result for a file. The values are those of the log; `repair` prints them too, except DEFERRED."""

    WHOLE = "whole"  # nothing had to be done
    SEALED = "sealed"
    REPAIRED = "repaired"  # written again without the damage
    EMPTY = "empty"  # no whole batch: removed, with its bytes kept aside
    GONE = "gone"  # another process sealed or removed it
    HELD = "held"  # another process is writing it
    DEFERRED = "deferred"  # not possible now; it is unchanged


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for a file. `lost`: the gaps that may have held acknowledged events; `reason`: why nothing was done."""

    path: Location
    outcome: Outcome
    events: int = 0
    gaps: list[Gap] = field(default_factory=list)
    sealed: Sealed | None = None
    reason: str = ""
    lost: list[Gap] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Abandoned:
    """An open archive that waits for recovery. `events`: how many of its events are known to be committed.

    `committed` and `file`: if this process wrote it, how many bytes are durable, and device and inode of the file.
    """

    path: Path
    committed: int | None = None
    file: tuple[int, int] | None = None
    events: int = 0


def log_finding(finding: Finding) -> None:
    """Log the result of recovery for a file."""
    if finding.outcome is Outcome.DEFERRED:
        log.emit(log_events.RECOVERY_DEFERRED, path=str(finding.path), reason=finding.reason)
    elif finding.outcome is not Outcome.HELD:
        log.emit(
            log_events.RECOVERED,
            path=str(finding.path),
            outcome=finding.outcome.value,
            events=finding.events,
            torn_bytes=sum(gap.size for gap in finding.gaps if gap.kind is GapKind.TORN),
            gaps=len(finding.lost),
            sealed=str(finding.sealed.path) if finding.sealed else "",
        )


def log_lost_events(abandoned: Abandoned, finding: Finding) -> None:
    """Log that an archive holds fewer events than were committed to it, or was removed before it was sealed."""
    if finding.outcome is Outcome.GONE and find_again(abandoned.path):
        return
    if lost := max(abandoned.events - finding.events, 0):
        archive = abandoned.path.name.removesuffix(OPEN_SUFFIX)
        log.emit(log_events.EVENTS_LOST, archive=archive, path=str(abandoned.path), events=lost)
