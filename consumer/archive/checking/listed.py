"""Compare an archive with the digests that list it.

Invariant: an archive is accepted if it is the one that the newest of these digests lists, or a rewriting of it that its footer names. An
older version of it is delayed at a place that gets copies, while another place holds the listed one. Nothing else is accepted: an older
version may bring back content that was removed.
"""

from collections.abc import Sequence

from codec.digest import ListedArchive
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import ArchiveState, GapClass, Verdict
from consumer.archive.digests.chain import InstanceChain


def check_listed(verdict: Verdict, chain: InstanceChain | None, others: Sequence[Verdict] = ()) -> None:
    """Note a fault if digests list the archive, and it is another one. If it is the same, its SHA-256 becomes known.

    `others`: the verdicts on the archive at the other places, if this place gets copies from them.
    """
    entries = chain.listed.get(verdict.id.sequence, []) if chain and verdict.id else []
    if not entries or verdict.state in (ArchiveState.OPEN, ArchiveState.ORPHANED, ArchiveState.UNREADABLE):
        return
    number, entry = entries[-1]
    for _, same in (one for one in entries if one[0] == number):  # two places may have different digests of this number
        if not _differences(verdict, same):
            verdict.sha256 = verdict.sha256 or same.sha256
            verdict.original = verdict.original or same.original
            return
    is_older = _is_as_sealed(verdict, entry) or any(not _differences(verdict, one) for _, one in entries)
    if is_older and any(not _differences(one, entry) or _is_rewriting(one, entry) for one in others):
        verdict.original, verdict.gap = entry.original, GapClass.DELAYED  # the rewriting replaces it when it is shipped
        return
    if not is_older and _is_rewriting(verdict, entry):
        _check_events(verdict, entry, number)
        return
    kind = "an older version of the archive" if is_older else "not the archive"
    reason = f"it is {kind} that digest {number} lists: {', '.join(_differences(verdict, entry))}"
    verdict.fault(FaultCode.ARCHIVE_CHANGED, None, reason, number, entry.sha256)


def _differences(verdict: Verdict, entry: ListedArchive) -> list[str]:
    """What differs, in words. The SHA-256 counts only if that of the archive is known."""
    pairs = [("size", verdict.size, entry.size), ("head", verdict.head or None, entry.head)]
    pairs += [("SHA-256 of the footer", verdict.footer, entry.footer)]
    if verdict.sha256:
        pairs += [("SHA-256", verdict.sha256, entry.sha256)]
    return [f"{name} {found}, expected {expected}" for name, found, expected in pairs if found != expected]


def _is_rewriting(verdict: Verdict, entry: ListedArchive) -> bool:
    """Whether the archive was rewritten since it was listed. A damaged archive that was repaired names the damaged file."""
    same_head = entry.head is None or verdict.head == entry.head
    return same_head and verdict.rewritten_from in (entry.original, entry.sha256)


def _is_as_sealed(verdict: Verdict, entry: ListedArchive) -> bool:
    """Whether it is the archive as it was sealed, and was rewritten before a digest listed it."""
    return entry.original != entry.sha256 and verdict.head == entry.head and verdict.sha256 == entry.original


def _check_events(verdict: Verdict, entry: ListedArchive, number: int) -> None:
    if (held := verdict.events + verdict.lost) < entry.events:
        reason = f"it was rewritten, and holds {held} events; digest {number} lists {entry.events}"
        verdict.fault(FaultCode.EVENTS_MISSING, None, reason, number, held, entry.events)
