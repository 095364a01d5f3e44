"""Losses that an operator has signed off: `verify` shows them, and does not count them as faults.

Role: `<instance>-<sequence>.acknowledged`, one JSON line a fault, in the directory of the archive or above it. Invariants: a line is
durable before it is reported; it holds for one fault of an archive with one head, so that a new fault, or another archive of
the same name, is not covered. A line that cannot be read covers nothing.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from consumer.archive.checking.verdict import AcknowledgedFault, ArchiveState, Verdict
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.tombstones import LEVELS_MAX
from consumer.disk.durable import Disk, held, read_regular
from consumer.errors import DeedboxError

SUFFIX = ".acknowledged"
STATES = (ArchiveState.SEALED, ArchiveState.MISSING)  # of others more may come to light when they are repaired


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `head`: the checksum of the head of its archive, in hexadecimal; empty for an archive that is missing."""

    head: str
    fault: str
    acknowledged: str  # when: ISO 8601, UTC
    reason: str = ""


def settle(verdict: Verdict) -> None:
    """Tell the faults of an archive that are acknowledged from those that are not."""
    if not verdict.faults or verdict.id is None:
        return
    directories = list(verdict.path.absolute().parents)[:LEVELS_MAX]
    known = [one for directory in directories for one in _read(directory / f"{verdict.id}{SUFFIX}")]
    known.sort(key=lambda one: one.acknowledged)  # of several lines for a fault, the last one counts
    signed = {one.fault: one for one in known if one.head == verdict.head}
    faults, verdict.faults = verdict.faults, []
    for fault in faults:
        if one := signed.get(_text_of(fault)):
            verdict.acknowledged.append(AcknowledgedFault(fault, one.acknowledged, one.reason))
        else:
            verdict.faults.append(fault)


def acknowledge(disk: Disk, verdict: Verdict, reason: str, now: str) -> int:
    """Record durably that the faults of an archive are known, and say how many were not before, or not for this reason.

    Without a reason, faults that are acknowledged keep theirs. Raises DeedboxError for an archive that must be repaired first, and OSError.
    """
    if verdict.id is None or verdict.state not in STATES:
        raise DeedboxError(
            f"{verdict.path}: {verdict.state}, not sealed", "run repair first, or wait until it is sealed"
        )
    if reason:  # it may be another one: the last that was given counts
        verdict.faults += [one.fault for one in verdict.acknowledged]
        verdict.acknowledged = []
    path = verdict.path.parent / f"{verdict.id}{SUFFIX}"
    with held(disk, path.with_name(path.name + ".lock")) as free:
        if not free:
            raise DeedboxError(f"{path}: another process acknowledges", "try again when it has ended")
        known = list(_read(path))
        reasons = {one.fault: one.reason for one in known if one.head == verdict.head}
        fresh = [
            Acknowledgement(head=verdict.head, fault=named, acknowledged=now, reason=reason)
            for named in map(_text_of, verdict.faults)
            if reasons.get(named) != reason
        ]
        if fresh:
            disk.replace(path, b"".join(msgspec.json.encode(one) + b"\n" for one in [*known, *fresh]))
    return len(fresh)


def _text_of(fault: ReadFault) -> str:
    """A fault without the path of its archive, because an archive may be moved."""
    return fault.place.encode("utf-8", "backslashreplace").decode()


def _read(path: Path) -> Iterator[Acknowledgement]:
    try:
        lines = read_regular(path).splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Acknowledgement)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
