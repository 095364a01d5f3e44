"""Acknowledged faults: losses that an operator knows of. `verify` shows them, and does not count them as faults.

Role: `<instance>-<sequence>.acknowledged` holds one JSON line per fault, in the directory of the archive or above it. Invariants: a line is
durable before it is reported. It is valid for one fault of an archive with one head, so that it covers neither a new fault nor another
archive of the same name. It identifies the fault by code, offset and detail, not by the text of the report. A line that cannot be read
covers nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import AcknowledgedFault, ArchiveState, Verdict, VerdictFault
from consumer.archive.location import Location, local_only
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.tombstones import LEVELS_MAX
from consumer.disk.durable import Disk, held, read_regular
from consumer.errors import DeedboxError
from consumer.objects.stores import store_of

SUFFIX = ".acknowledged"
STATES = (
    ArchiveState.SEALED,
    ArchiveState.MISSING,
    ArchiveState.DIGESTS,
)  # a repair of other archives may find more faults


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `head`: the checksum of the head of its archive, in hexadecimal; empty for an archive that is missing.

    `code`, `offset`, `detail`: as in `VerdictFault`.
    """

    head: str
    code: FaultCode
    offset: int | None
    detail: str
    acknowledged: str  # when: ISO 8601, UTC
    reason: str = ""

    @property
    def key(self) -> "_Key":
        """The fault that it is valid for."""
        return self.head, self.code, self.offset or 0, self.detail


_Key = tuple[str, FaultCode, int, str]  # offset 0 also if there is none, as earlier versions have recorded it


def separate_acknowledged(verdict: Verdict, copies: Sequence[Location] = ()) -> None:
    """Move the faults that are acknowledged from `faults` to `acknowledged`. `copies`: where else the archive is, or was looked for."""
    if not verdict.faults or not verdict.name:
        return
    directories = dict.fromkeys(directory for path in (verdict.path, *copies) for directory in _above(path))
    known = [one for directory in directories for one in _read(directory / f"{verdict.name}{SUFFIX}")]
    known.sort(key=lambda one: one.acknowledged)  # of several lines for one fault, the newest is used
    acknowledged = {one.key: one for one in known}
    faults, verdict.faults = verdict.faults, []
    for fault in faults:
        if one := acknowledged.get(_key(verdict, fault)):
            verdict.acknowledged.append(AcknowledgedFault(fault, one.acknowledged, one.reason))
        else:
            verdict.faults.append(fault)


def _above(path: Location) -> Sequence[Location]:
    place = path.absolute() if isinstance(path, Path) else path
    return [*place.parents][:LEVELS_MAX]


def acknowledge(disk: Disk, verdict: Verdict, reason: str, now: str) -> int:
    """Acknowledge the faults of an archive durably. Returns how many were not acknowledged before, or for another reason.

    Without a reason, acknowledged faults keep their reason. Raises DeedboxError for an archive that must be repaired first, and OSError.
    """
    if not verdict.name or verdict.state not in STATES:
        raise DeedboxError(
            f"{verdict.path}: {verdict.state}, not sealed", "run repair first, or wait until it is sealed"
        )
    if reason:  # it replaces the reason that was given before
        verdict.faults += [one.fault for one in verdict.acknowledged]
        verdict.acknowledged = []
    path = local_only(verdict.path, "--acknowledge").parent / f"{verdict.name}{SUFFIX}"
    with held(disk, path.with_name(path.name + ".lock")) as free:
        if not free:
            raise DeedboxError(f"{path}: another process acknowledges", "try again when it has ended")
        known = list(_read(path))
        reasons = {one.key: one.reason for one in known}
        fresh = [
            Acknowledgement(
                head=verdict.head,
                code=fault.code,
                offset=fault.offset,
                detail=fault.detail,
                acknowledged=now,
                reason=reason,
            )
            for fault in verdict.faults
            if reasons.get(_key(verdict, fault)) != reason
        ]
        if fresh:
            disk.replace(path, b"".join(msgspec.json.encode(one) + b"\n" for one in [*known, *fresh]))
    return len(fresh)


def is_acknowledged_loss(directory: Path, archive: ArchiveId) -> bool:
    """Whether an operator has acknowledged that an archive of a directory is lost."""
    found = _read(directory / f"{archive}{SUFFIX}")
    return any(one.code is FaultCode.ARCHIVE_MISSING and one.detail == str(archive) for one in found)


def _key(verdict: Verdict, fault: VerdictFault) -> _Key:
    """Identifies a fault. It has no path, because an archive may be moved."""
    return verdict.head, fault.code, fault.offset or 0, fault.detail


def _read(path: Location) -> Iterator[Acknowledgement]:
    try:
        lines = (read_regular(path) if isinstance(path, Path) else store_of(path).get(path)).splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Acknowledgement)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
