"""Decide when an archive is full. Pure: sizes and times come in, a reason goes out."""

from dataclasses import dataclass

INDEX_BYTES_MAX = 16 << 20  # what the index of an open archive may cost in memory: 2 bytes an event, 200 a batch


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


def roll_reason(policy: RollPolicy, fill: Fill, monotonic: float, wall: float) -> str | None:
    """Why the archive must be sealed now: `size`, `count`, `index`, `age` or `clock`; None if it need not."""
    if policy.bytes_max and fill.bytes >= policy.bytes_max:
        return "size"
    if policy.events_max and fill.events >= policy.events_max:
        return "count"
    if fill.index_bytes >= INDEX_BYTES_MAX:
        return "index"
    if policy.age_s_max and monotonic - fill.opened_monotonic >= policy.age_s_max:
        return "age"
    if policy.align_s and wall // policy.align_s > fill.opened_wall // policy.align_s:
        return "clock"
    return None


def next_look_s(policy: RollPolicy, fill: Fill, monotonic: float, wall: float) -> float | None:
    """How long until time alone can fill the archive; None if it never can."""
    waits = []
    if policy.age_s_max:
        waits.append(fill.opened_monotonic + policy.age_s_max - monotonic)
    if policy.align_s:
        waits.append((fill.opened_wall // policy.align_s + 1) * policy.align_s - wall)
    return max(0.0, min(waits)) if waits else None
