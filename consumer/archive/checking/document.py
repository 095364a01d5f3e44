"""The result of `verify` as one JSON document, for a program that decides by it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import orjson

from codec.event import format_time
from consumer.archive.checking.proof import Proof
from consumer.archive.checking.report import Totals
from consumer.archive.checking.verdict import GapClass, Verdict, VerdictFault

FAULTS_MAX = 1000  # of each list; the totals count all


@dataclass
class Document:
    """What the document shows of the verdicts. Lists are cut after FAULTS_MAX entries."""

    faults: list[dict[str, str]] = field(default_factory=list)
    acknowledged: list[dict[str, str]] = field(default_factory=list)
    gaps: list[dict[str, str]] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Note the faults of a verdict, and that an archive is not at a place."""
        _extend(self.faults, verdict, verdict.faults)
        _extend(self.acknowledged, verdict, (one.fault for one in verdict.acknowledged))
        if verdict.gap not in (None, GapClass.RETIRED, GapClass.LOST) and len(self.gaps) < FAULTS_MAX:
            self.gaps.append({"archive": verdict.name, "path": _utf8(str(verdict.path)), "class": str(verdict.gap)})

    def encode(self, totals: Totals, proof: Proof) -> str:
        """The document, in one line."""
        digests = [asdict(one) | {"until": format_time(one.until_us)} for one in proof.digests]
        shown = {
            "complete": totals.complete,
            **{
                name: value
                for name, value in asdict(totals).items()
                if name not in ("faults", "acknowledged", "light", "explained")
            },
            "fault_count": totals.faults,
            "acknowledged_count": totals.acknowledged,
            "gap_counts": {str(name): proof.gaps.get(name, 0) for name in GapClass},
            "proof": {
                "digests": digests,
                "without_digests": sorted(proof.undigested),
                "deep": proof.deep,
                "deep_bytes": proof.deep_bytes,
                "heads_and_footers": proof.light,
                "budget": proof.budget or None,
            },
        }
        return orjson.dumps(shown | asdict(self)).decode()


def _extend(found: list[dict[str, str]], verdict: Verdict, faults: Iterable[VerdictFault]) -> None:
    for fault in faults:
        if len(found) < FAULTS_MAX:
            found.append({"archive": verdict.name, "code": str(fault.code), "fault": _utf8(str(fault))})


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
