"""Compare the copies of one archive at different places.

Invariant: two copies are accepted if they are equal, or if one is a rewriting of the other or both of the same original. Which place is
right is not decided here.
"""

from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import ArchiveState, Verdict
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.reader import open_at
from consumer.archive.reading.sha256 import sha256_of


class Copies:
    """The first copy of each archive, and what is known of it."""

    def __init__(self) -> None:
        self._first: dict[ArchiveId, Verdict] = {}

    def check(self, verdict: Verdict) -> None:
        """Compare a copy with the first one, and note a fault if they are different archives."""
        if verdict.id is None or verdict.state is not ArchiveState.SEALED:
            return
        first = self._first.setdefault(verdict.id, verdict)
        if first is verdict or first.place == verdict.place or _is_equal(first, verdict):
            return
        if first.head == verdict.head and _is_one_original(first, verdict):
            return
        what = (
            f"size {verdict.size} and {first.size}" if verdict.size != first.size else "other content of the same size"
        )
        reason = f"it is not the archive of the same name at {first.path}: {what}"
        verdict.fault(
            FaultCode.COPIES_DIFFER, None, reason, verdict.sha256 or verdict.footer, first.sha256 or first.footer
        )


def _is_equal(one: Verdict, other: Verdict) -> bool:
    if (one.size, one.head, one.footer) != (other.size, other.head, other.footer):
        return False
    return one.sha256 is None or other.sha256 is None or one.sha256 == other.sha256


def _is_one_original(one: Verdict, other: Verdict) -> bool:
    """Whether at least one is a rewriting, and both have one original. A SHA-256 that is not known is computed: it is needed rarely."""
    if not (one.rewritten_from or other.rewritten_from):
        return False
    for verdict in (one, other):
        if verdict.original is None:
            with open_at(verdict.path) as archive:
                verdict.sha256 = verdict.original = sha256_of(archive)
    originals = {one.original, other.original}
    return len(originals) == 1 or one.rewritten_from == other.sha256 or other.rewritten_from == one.sha256
