"""Which events a damaged archive has lost, as far as that is known. The footer keeps these gaps permanently.

Pure. In the middle, the number of the first event in each batch header shows which events are missing. At the end, the missing events
are known only from elsewhere: from the footer, the head of the next archive, the ledger or the watermark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from codec.gap import Gap, GapKind
from consumer.archive.reading.reader import StoredBatch
from consumer.archive.reading.survey import Survey


@dataclass(frozen=True, slots=True)
class Expected:
    """How many events an archive held. `exact`: it held no more than these."""

    events: int
    exact: bool


def losses(found: Survey, expected: Expected | None, sealed: bool) -> list[Gap]:
    """The gaps of an archive that must be rebuilt, with the gaps that its footer names already.

    `sealed`: the file was a sealed archive, so that a part that is cut short was whole before. In an open archive, such a
    part was never acknowledged, unless `expected` counts it.
    """
    known = list(found.footer.gaps) if found.footer else []
    named = {gap.first_event for gap in known}
    lost, after = _in_the_middle(found)
    return known + [
        gap for gap in [*lost, *_at_the_end(found, after, expected, sealed)] if gap.first_event not in named
    ]


def _in_the_middle(found: Survey) -> tuple[list[Gap], Sequence[Gap]]:
    """The gaps before the last batch, and the gaps after it."""
    lost: list[Gap] = []
    gaps: list[Gap] = []
    end = 0
    parts: list[StoredBatch | Gap] = [*found.gaps, *found.batches]
    for part in sorted(parts, key=lambda part: (part.offset, isinstance(part, StoredBatch))):
        if isinstance(part, Gap):
            gaps.append(part)
            continue
        missing = max(part.header.first_event - end, 0)
        if missing or gaps:
            gap = gaps[0] if gaps else Gap(part.offset, 0, GapKind.MISSING, "events are missing")
            size = sum(one.size for one in gaps)
            lost.append(Gap(gap.offset, size, gap.kind, gap.reason, end, missing))
        end, gaps = part.header.first_event + part.header.events, []
    return lost, gaps


def _at_the_end(found: Survey, gaps: Sequence[Gap], expected: Expected | None, sealed: bool) -> list[Gap]:
    last = max((batch.offset + batch.size for batch in found.batches), default=0)
    gap = gaps[0] if gaps else Gap(last, 0, GapKind.MISSING, "the end is missing")
    missing = expected.events - found.end if expected else 0
    if missing > 0:
        return [Gap(gap.offset, gap.size, gap.kind, gap.reason, found.end, missing)]
    if found.seal or found.footer_begun or (expected and expected.exact):
        return []  # no event followed
    if sealed or any(not one.harmless for one in gaps):
        return [Gap(gap.offset, gap.size, gap.kind, gap.reason, found.end, None)]
    return []
