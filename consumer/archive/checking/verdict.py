"""The verdict on one archive: its counts and its faults."""

from dataclasses import dataclass, field
from enum import StrEnum

from codec.archive import Previous
from consumer.archive import naming
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.location import Location
from consumer.archive.reading.fault import ReadFault


class ArchiveState(StrEnum):
    """The state of an archive file. The values are those that `verify` prints."""

    SEALED = "sealed"
    OPEN = "open"  # a process is writing it
    ORPHANED = "orphaned"  # an open archive that no process is writing: recovery or `repair` seals it
    TRUNCATED = "truncated"  # it has the name of a sealed archive and no footer
    MISSING = "missing"  # other archives, the ledger or the watermark name it, and it does not exist
    UNREADABLE = "unreadable"
    DIGESTS = "digests"  # no archive: the digests of an instance


class GapClass(StrEnum):
    """Why an archive, or a digest, is not at a place. Only LOST is a fault."""

    DELAYED = "delayed"  # sealed, and not shipped to this place yet
    UPLOADING = "uploading"  # it is being shipped
    RETIRED = "retired"  # policy removed it, and a digest says so
    ELSEWHERE = "elsewhere"  # nothing says why it is not here; another place has it
    ACKNOWLEDGED = "acknowledged"  # lost, and an operator knows
    LOST = "lost"  # at no place that was checked


@dataclass(frozen=True, slots=True)
class VerdictFault(ReadFault):
    """A fault that `verify` found.

    `detail`: the numbers and names that distinguish it from another fault of the same kind at the same offset. The code, the offset and
    the detail identify the fault in its archive; the text of `reason` does not.
    """

    code: FaultCode = FaultCode.UNREADABLE
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AcknowledgedFault:
    """A fault that an operator has acknowledged. `time`: ISO 8601, UTC; `reason`: the operator's, which may be empty."""

    fault: VerdictFault
    time: str
    reason: str = ""

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.fault}; acknowledged {self.time}{why}"


@dataclass
class Verdict:
    """The counts and the faults of one archive at one place.

    `duplicates`: events that are marked as duplicates; `deleted`: hidden events that are still in the archive; `removed`: events that
    `compact` removed; `lost`: events that are known to be lost. `deep`: every byte was read; otherwise the head and the footer, and
    duplicates are not counted. `gap`: why the archive is not at the place; None if it is there.
    """

    path: Location
    id: naming.ArchiveId | None = None
    batches: int = 0
    events: int = 0
    duplicates: int = 0
    deleted: int = 0
    removed: int = 0
    size: int = 0
    state: ArchiveState = ArchiveState.UNREADABLE
    file: tuple[int, int] | None = None  # device and inode; None if it is no local file
    before: Previous | None = None  # the archive that was sealed before this one, according to the head
    predecessor: int = 0  # the newest archive with a batch when this one was opened, according to the head
    lost: int = 0
    is_copy: bool = False  # the same archive was counted at another place
    head: str = ""  # the checksum of the head, in hexadecimal
    deep: bool = True
    gap: GapClass | None = None
    place: int = 0  # the number of the place among those that are checked together
    subject: str = ""  # what faults are acknowledged for, if it is no archive
    sha256: str | None = (
        None  # of the file; computed if `deep`, otherwise as the attributes of the object or a digest say
    )
    rewritten_from: str | None = None  # as the footer says
    original: str | None = None  # SHA-256 of the file as it was first sealed, if it is known
    footer: str | None = None  # SHA-256 of the footer and the seek table
    vanished: bool = False  # it was removed between listing and opening
    faults: list[VerdictFault] = field(default_factory=list)
    acknowledged: list[AcknowledgedFault] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What faults are acknowledged for: the id of the archive, or the digests of an instance. Empty if there is none."""
        return str(self.id) if self.id else self.subject

    def fault(self, code: FaultCode, offset: int | None, reason: str, *detail: object) -> None:
        """Add a fault. `offset`: None if it has no place in a file. `reason`: the text of the report. `detail`: numbers and names, as in `VerdictFault`."""
        self.faults.append(VerdictFault(self.path, offset, reason, code, " ".join(map(str, detail))))
