"""The reports of `verify` and `repair`: a line per archive, a line per fault, and a last line with the totals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import orjson

from codec.counted import counted
from consumer.archive import naming
from consumer.archive.checking.proof import Proof, size_text
from consumer.archive.checking.verdict import ArchiveState, GapClass, Verdict
from consumer.archive.checking.verify import Mapped, Verification
from consumer.archive.layout import Layout
from consumer.archive.ledger import Ledger
from consumer.archive.listing import find_archives
from consumer.archive.location import Location, local_only
from consumer.archive.outcome import outcome
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.survey import survey, with_indexed
from consumer.archive.rewriting.repair import judge_sealed, losses_of, repair_sealed
from consumer.archive.writing.finding import Finding, Outcome
from consumer.archive.writing.orphans import known_from_ledger, note_sealed
from consumer.archive.writing.recovery import recover
from consumer.disk.durable import Disk, held, is_held

LIMITS = "`deedbox verify --help` names the losses that no check can notice"
KNOWS_MORE = "`deedbox verify` reports whether archives or events are missing"  # what does not exist cannot be repaired
SHOWN_GAPS = (GapClass.DELAYED, GapClass.UPLOADING, GapClass.ELSEWHERE, GapClass.RETIRED)  # faults count the others
PrintLine = Callable[[str], None]


def print_text(verdict: Verdict, print_line: PrintLine) -> None:
    """A line for the archive, and a line per fault. Archives that policy removed have no line: the totals count them."""
    if verdict.gap is GapClass.RETIRED:
        return
    unread = verdict.state is ArchiveState.UNREADABLE
    good = "known" if verdict.acknowledged else verdict.gap or "ok"  # `ok` would hide that events are lost
    word = "ERROR" if unread else "DAMAGED" if verdict.faults else good
    noun = "event " if verdict.events == 1 else "events"
    print_line(
        f"{word:8}{' ' * (len(word) > 7)}{verdict.state:10}{verdict.events:>10} {noun} {size_text(verdict.size):>10}  {verdict.path}"
    )
    for fault in [*verdict.faults, *verdict.acknowledged]:
        print_line(f"        {fault}")


MEMBERS = ("batches", "events", "duplicates", "deleted", "removed", "size", "state", "lost", "head", "deep", "gap", "sha256")  # fmt: skip


def print_json(verdict: Verdict, print_line: PrintLine) -> None:
    """The verdict as a JSON object in one line."""
    members = {name: getattr(verdict, name) for name in MEMBERS}
    names = {"path": _utf8(str(verdict.path)), "id": str(verdict.id) if verdict.id else None}
    print_line(orjson.dumps(names | members | _faults(verdict)).decode())


def _faults(verdict: Verdict) -> dict[str, list[str]]:
    faults, acknowledged = ([_utf8(str(one)) for one in found] for found in (verdict.faults, verdict.acknowledged))
    return {"faults": faults, "acknowledged": acknowledged}


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@dataclass
class Totals:
    """The totals of all verdicts."""

    archives: int = 0
    copies: int = 0  # more copies of the same archives, at other places
    events: int = 0
    duplicates: int = 0
    size: int = 0
    deleted: int = 0
    removed: int = 0
    lost: int = 0
    faults: int = 0
    acknowledged: int = 0
    explained: int = 0  # archives that are not there, for a reason that is no loss
    light: int = 0  # archives of which no event was read, so that no mark of a duplicate was seen

    def add(self, verdict: Verdict) -> None:
        """Add a verdict. A missing archive and the digests count by their faults only, a copy also by its size."""
        self.explained += verdict.gap not in (None, GapClass.LOST)
        self.light += not verdict.deep
        self.size += verdict.size
        self.faults += len(verdict.faults)
        self.acknowledged += len(verdict.acknowledged)
        if verdict.is_copy:
            self.copies += 1
            return
        self.archives += verdict.state not in (ArchiveState.MISSING, ArchiveState.DIGESTS)
        self.events += verdict.events
        self.duplicates += verdict.duplicates
        self.deleted += verdict.deleted
        self.removed += verdict.removed
        self.lost += verdict.lost

    @property
    def complete(self) -> bool:
        """Whether there is an archive, or a reason why it is not there, and every fault is acknowledged."""
        return bool(self.archives or self.acknowledged or self.explained) and not self.faults

    def line(self, gaps: Mapping[GapClass, int] = MappingProxyType({})) -> str:
        """The last line. `gaps`: how many archives are not at a place, by class."""
        signed = f" but for {counted(self.acknowledged, 'acknowledged fault')}" if self.acknowledged else ""
        result = f"complete{signed}" if self.complete else f"NOT complete, {counted(self.faults, 'fault')}{signed}"
        if not (self.archives or self.faults or self.acknowledged or self.explained):
            result = "nothing found"
        gone = f", {self.deleted} deleted and hidden, {self.removed} removed" if self.deleted or self.removed else ""
        gone += f", {self.lost} known to be lost" if self.lost else ""
        gone += "".join(f", {gaps[name]} {name}" for name in SHOWN_GAPS if gaps.get(name))
        marked = "duplicates not counted" if self.light else f"{self.duplicates} marked as duplicates"
        copies = f" in {self.archives + self.copies} copies" if self.copies else ""
        return (
            f"{result}: {counted(self.archives, 'archive')}{copies}, {counted(self.events, 'event')}, {marked}{gone}, "
            f"{size_text(self.size)}; {LIMITS}"
        )


def show_verdicts(
    paths: Sequence[Location], print_line: PrintLine, show: Callable[[Verdict, PrintLine], None] = print_text, mapped: Mapped = map,
) -> bool:  # fmt: skip
    """Verify everything deeply, and report. As `show_run`."""
    return show_run(Verification(paths, mapped), print_line, show)


def show_run(
    run: Verification, print_line: PrintLine, show: Callable[[Verdict, PrintLine], None] = print_text,
    acknowledge: Callable[[Verdict], None] = lambda _: None,
) -> bool:  # fmt: skip
    """Verify and report. Returns whether everything is complete. `acknowledge` may acknowledge faults. Only a text report has totals.

    `show` prints a verdict.
    """
    total = Totals()
    for verdict in run.verdicts():
        if verdict.faults or verdict.acknowledged:
            acknowledge(verdict)
        total.add(verdict)
        show(verdict, print_line)
    if show is print_text:
        show_totals(run.proof, total, print_line)
    return total.complete


def show_totals(proof: Proof, total: Totals, print_line: PrintLine) -> None:
    """What was proved, and the last line."""
    for line in proof.lines():
        print_line(line)
    print_line(total.line(proof.gaps))


def show_repairs(paths: list[Location], dry_run: bool, print_line: PrintLine) -> bool:
    """Repair and report. Returns whether every damaged archive could be repaired. `dry_run`: change nothing.

    Raises Fatal for a URL without `dry_run`.
    """
    disk = Disk()
    repaired, count = True, 0
    for path in find_archives(paths if dry_run else [local_only(path, "repair") for path in paths]):
        try:
            finding = _foresee(path) if dry_run else _repair(disk, local_only(path, "repair"))
        except OSError as error:
            finding = Finding(path, Outcome.DEFERRED, reason=ReadFault.of(path, error).reason)
        if finding.outcome is Outcome.WHOLE:
            continue
        repaired, count = (
            repaired and finding.outcome is not Outcome.DEFERRED,
            count + (finding.outcome is not Outcome.HELD),
        )
        _print_finding(finding, dry_run, print_line)
    result = "nothing was changed" if dry_run and count and repaired else outcome(count, not repaired, "repaired")
    print_line(f"{result}; {KNOWS_MORE}")
    return repaired


def _print_finding(finding: Finding, dry_run: bool, print_line: PrintLine) -> None:
    word = "not repaired" if finding.outcome is Outcome.DEFERRED else finding.outcome.value
    if dry_run and finding.outcome is not Outcome.HELD:
        word = "would not be repaired" if finding.outcome is Outcome.DEFERRED else f"would be {word}"
    to = f" -> {finding.sealed.path}" if finding.sealed else ""
    print_line(
        f"{word}: {finding.path}{to}: {counted(finding.events, 'event')}{': ' + finding.reason if finding.reason else ''}"
    )
    for gap in finding.lost:
        print_line(f"        {finding.path}: {gap.loss}")
    if finding.lost:
        print_line(
            "        if a lost event was delivered twice, its marked copy may exist: search with --duplicates only"
        )
    for gap in finding.gaps if not finding.lost else ():
        print_line(f"        {finding.path}: at {gap.offset}: {gap}")


def _repair(disk: Disk, path: Path) -> Finding:
    archive = naming.parse_open(path)
    if archive is None:
        return repair_sealed(disk, path)
    with held(disk, naming.lock_path(path.parent, archive.instance)) as free:
        if not free:
            return Finding(path, Outcome.HELD, reason="a process is writing it")
        ledger = Ledger(disk, path.parent, archive.instance)
        finding = recover(disk, Layout(path.parent), path, known_from_ledger(path, ledger))
        if sealed := finding.sealed:
            note_sealed(ledger, sealed)
        return finding


def _foresee(path: Location) -> Finding:
    found = survey(path)
    if naming.parse_open(path) is None:
        outcome, reason = judge_sealed(path, found)
        if outcome is Outcome.REPAIRED:
            found = with_indexed(found)
        lost = losses_of(found) if outcome is Outcome.REPAIRED else []
        return Finding(path, outcome, found.events, found.gaps, reason=reason, lost=lost)
    if isinstance(path, Path) and is_held(path):
        return Finding(path, Outcome.HELD, found.events, reason="a process is writing it")
    if not found.batches:
        return Finding(path, Outcome.EMPTY, found.events, found.gaps)
    outcome = Outcome.REPAIRED if found.damaged and not found.seal else Outcome.SEALED
    return Finding(path, outcome, found.events, found.gaps)
