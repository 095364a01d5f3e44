"""Proof: what a run of `verify` has proved, and until when. A value that is filled during the run."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from codec.counted import counted
from codec.event import format_time
from consumer.archive.checking.verdict import ArchiveState, GapClass, Verdict
from consumer.archive.digests.chain import InstanceChain


@dataclass(frozen=True, slots=True)
class DigestProof:
    """The digests of one instance: their number, and the time until which they list all archives; 0 if no time is proved.

    `ahead_us`: the end of the spans, if it is later, because the clock was ahead when a digest was made; else 0.

    `is_whole`: none of them has a fault. `signed`: whether a valid signature covers all of them; None if no key was given.
    """

    instance: str
    digests: int
    until_us: int
    is_whole: bool
    signed: bool | None
    ahead_us: int = 0


@dataclass
class Proof:
    """`digests`: of the instances that have any. `undigested`: the other instances. `gaps`: how many archives, by class.

    `deep`, `light`: how many archives were read as a whole, and how many by their heads and footers.
    `now_us`: the time of the run: nothing is proved after it.
    """

    digests: list[DigestProof] = field(default_factory=list)
    undigested: set[str] = field(default_factory=set)
    gaps: Counter[GapClass] = field(default_factory=Counter)
    deep: int = 0
    light: int = 0
    deep_bytes: int = 0
    now_us: int = field(default_factory=lambda: time.time_ns() // 1000)
    budget: str = ""  # of a run with a budget: what is proved over several runs

    def add_chains(self, chains: Iterable[InstanceChain], with_keys: bool) -> None:
        """Note the digests of a group of places."""
        for chain in chains:
            newest = max(chain.digests, default=0)
            signed = newest == chain.signed if with_keys else None
            whole = not chain.faults
            proved_us = chain.proved_us(self.now_us)
            ahead_us = chain.until_us if chain.until_us > proved_us else 0
            self.digests.append(DigestProof(chain.instance, len(chain.digests), proved_us, whole, signed, ahead_us))

    def add(self, verdict: Verdict) -> None:
        """Note a verdict, after its acknowledged faults are known."""
        if verdict.gap is not None:
            acknowledged = verdict.gap is GapClass.LOST and not verdict.faults
            self.gaps[GapClass.ACKNOWLEDGED if acknowledged else verdict.gap] += 1
        elif verdict.state not in (ArchiveState.MISSING, ArchiveState.DIGESTS):
            self.deep += verdict.deep
            self.light += not verdict.deep
            self.deep_bytes += verdict.size if verdict.deep else 0
            if verdict.id and verdict.id.instance not in {one.instance for one in self.digests}:
                self.undigested.add(verdict.id.instance)

    def lines(self) -> list[str]:
        """What was proved, in lines of text."""
        budget = [self.budget] if self.budget else []
        return [*map(_digest_line, self.digests), *self._undigested(), *self._depth(), *budget]

    def _undigested(self) -> Sequence[str]:
        if not self.undigested:
            return ()
        names = ", ".join(sorted(self.undigested))
        return [f"without digests: {names}: the removal of the newest archives, or of all, may not be noticed"]

    def _depth(self) -> Sequence[str]:
        if not self.light:
            return ()
        read = counted(self.light, "archive")
        if not self.deep:
            return [f"not deep: the heads and footers of {read} were read; --deep also decodes every batch"]
        whole = f"{counted(self.deep, 'archive')} read as a whole ({size_text(self.deep_bytes)})"
        return [f"deep: {whole}; {read} read by head and footer only"]


def _digest_line(one: DigestProof) -> str:
    what = counted(one.digests, "digest")
    if one.signed is not None:
        what += ", signed" if one.signed else ", NOT signed to the end"
    if one.ahead_us:
        what += f"; the clock was ahead when a digest was made, and went back: their spans end at {format_time(one.ahead_us)}"
    if not one.until_us:
        return f"with digests: {one.instance}: no time is proved ({what})"
    until = format_time(one.until_us)
    if not one.is_whole:
        return f"with digests: {one.instance}: {what}, NOT whole, until {until}"
    return f"with digests: {one.instance}: every archive that was sealed until {until} was looked for ({what})"


def size_text(size: int) -> str:
    """A number of bytes for a report."""
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{size} B"
