"""Decide when an archive is sealed. Pure: from sizes and times to a reason."""

from dataclasses import dataclass
from enum import StrEnum

INDEX_BYTES_MAX = 16 << 20  # memory of the index of an open archive: 2 bytes an event, 200 a batch


class RollReason(StrEnum):
    """Why an archive is sealed. The values are those of the log."""

    SIZE = "size"
    COUNT = "count"
    INDEX = "index"  # its index uses as much memory as is allowed
    AGE = "age"
    CLOCK = "clock"
    STOP = "stop"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class RollPolicy:
    """Bounds of one archive; 0 means no bound. `align_s`: roll when the clock passes a multiple of it, in UTC."""

    bytes_max: int = 0
    age_s_max: float = 0
    events_max: int = 0
    align_s: int = 0


@dataclass(frozen=True, slots=True)
class Fill:
    """How full an open archive is. Ages are measured on a monotonic clock, alignment on the wall clock."""

    bytes: int
    events: int
    batches: int
    index_bytes: int
    opened_monotonic: float
    opened_wall: float


def roll_reason(policy: RollPolicy, fill: Fill, monotonic: float, wall: float) -> RollReason | None:
    """Why the archive must be sealed now; None if it need not be."""
    if policy.bytes_max and fill.bytes >= policy.bytes_max:
        return RollReason.SIZE
    if policy.events_max and fill.events >= policy.events_max:
        return RollReason.COUNT
    if fill.index_bytes >= INDEX_BYTES_MAX:
        return RollReason.INDEX
    if policy.age_s_max and monotonic - fill.opened_monotonic >= policy.age_s_max:
        return RollReason.AGE
    if policy.align_s and wall // policy.align_s > fill.opened_wall // policy.align_s:
        return RollReason.CLOCK
    return None


def next_look_s(policy: RollPolicy, fill: Fill, monotonic: float, wall: float) -> float | None:
    """Seconds until the archive must be sealed because of its age or the clock; None if it need never be."""
    waits = []
    if policy.age_s_max:
        waits.append(fill.opened_monotonic + policy.age_s_max - monotonic)
    if policy.align_s:
        waits.append((fill.opened_wall // policy.align_s + 1) * policy.align_s - wall)
    return max(0.0, min(waits)) if waits else None
