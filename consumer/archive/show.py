"""What `verify` and `repair` tell a person: a line an archive, a line a fault, and a last line with the sum."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import orjson

from consumer.archive import naming, recovery
from consumer.archive.durable import Disk, held, is_held
from consumer.archive.ledger import Ledger
from consumer.archive.listing import find_archives
from consumer.archive.recovery import Finding
from consumer.archive.repair import judge_sealed, repair_sealed
from consumer.archive.survey import survey
from consumer.archive.verdict import Verdict
from consumer.archive.verify import Mapped, verify
from consumer.archive.writer import Place

NOT_PROVED = "not proved: that no instance was removed with its ledger, and that nobody who may write here has rewritten archives and ledger"
Say = Callable[[str], None]


def tell_text(verdict: Verdict, say: Say) -> None:
    """A line an archive, and a line a fault."""
    word = "DAMAGED" if verdict.faults else "ok"
    say(f"{word:8}{verdict.state:10}{verdict.events:>10} events {_mib(verdict.size):>10}  {verdict.path}")
    for fault in verdict.faults:
        say(f"        {fault}")


def tell_line(verdict: Verdict, say: Say) -> None:
    """The same as a JSON object."""
    members = asdict(verdict) | {"path": _utf8(str(verdict.path)), "id": str(verdict.id) if verdict.id else None}
    members["faults"] = list(map(_utf8, verdict.faults))
    del members["before"], members["file"], members["predecessor"]
    say(orjson.dumps(members).decode())


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def show_verdicts(
    paths: list[Path], say: Say, tell: Callable[[Verdict, Say], None] = tell_text, mapped: Mapped = map,
    advance: Callable[[int], None] = lambda _: None,
) -> bool:  # fmt: skip
    """Verify and tell; True if everything is complete. The sum is told as text only."""
    archives = events = duplicates = size = faults = deleted = removed = 0
    for verdict in verify(paths, mapped):
        archives, events, size = archives + 1, events + verdict.events, size + verdict.size
        duplicates, faults = duplicates + verdict.duplicates, faults + len(verdict.faults)
        deleted, removed = deleted + verdict.deleted, removed + verdict.removed
        tell(verdict, say)
        advance(verdict.size)
    if tell is tell_text:
        answer = (
            "complete"
            if archives and not faults
            else "nothing found"
            if not archives
            else f"NOT complete, {faults} faults"
        )
        gone = f", {deleted} deleted and hidden, {removed} removed" if deleted or removed else ""
        say(
            f"{answer}: {archives} archives, {events} events, {duplicates} marked as duplicates{gone}, {_mib(size)}; {NOT_PROVED}"
        )
    return bool(archives) and not faults


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{size} B"


def show_repairs(paths: list[Path], dry_run: bool, say: Say) -> bool:
    """Mend and tell; True if everything that was found could be mended."""
    disk = Disk()
    mended = True
    for path in find_archives(paths):
        try:
            finding = _foresee(path) if dry_run else _repair(disk, path)
        except OSError as error:
            finding = Finding(path, "deferred", reason=error.strerror or str(error))
        if finding.outcome == "whole":
            continue
        mended = mended and finding.outcome != "deferred"
        _say_finding(finding, dry_run, say)
    say("nothing else to do" if mended else "not everything could be mended")
    return mended


def _say_finding(finding: Finding, dry_run: bool, say: Say) -> None:
    word = f"would be {finding.outcome}" if dry_run and finding.outcome not in ("held", "deferred") else finding.outcome
    to = f" -> {finding.sealed.path}" if finding.sealed else ""
    say(f"{word}: {finding.path}{to}: {finding.events} events{': ' + finding.reason if finding.reason else ''}")
    for gap in finding.gaps:
        say(f"        {finding.path}: at {gap.offset}: {gap.kind}, {gap.size} bytes: {gap.reason}")


def _repair(disk: Disk, path: Path) -> Finding:
    archive = naming.parse_open(path)
    if archive is None:
        return repair_sealed(disk, path)
    with held(disk, naming.lock_path(path.parent, archive.instance)) as free:
        if not free:
            return Finding(path, "held", reason="its owner lives")
        ledger = Ledger(disk, path.parent, archive.instance)
        finding = recovery.recover(disk, Place(path.parent), path)
        if sealed := finding.sealed:
            recovery.note_sealed(ledger, sealed)
        return finding


def _foresee(path: Path) -> Finding:
    found = survey(path)
    if naming.parse_open(path) is None:
        outcome, reason = judge_sealed(path, found)
        return Finding(path, outcome, found.events, found.gaps, reason=reason)
    if is_held(path):
        return Finding(path, "held", found.events, reason="its owner lives")
    outcome = "empty" if not found.batches else "mended" if found.damaged and not found.seal else "sealed"
    return Finding(path, outcome, found.events, found.gaps)
