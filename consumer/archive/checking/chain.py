"""Check the sequence of archives: which are missing, which exist twice, which were changed after they were sealed.

It compares three records: each head names its direct predecessor and the archive that was sealed before it; the ledger names the newest
archive with a committed batch, the newest sealed one, and those that were not sealed; the watermark counts the committed events of the
newest one. Archives that are older than the oldest existing one do not count as missing, because retention deletes from the front.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codec.archive import Previous
from codec.counted import counted
from consumer.archive import naming
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import ArchiveState, Verdict
from consumer.archive.instances import Instance
from consumer.archive.location import Location
from consumer.archive.reading.reader import Seal, open_at
from consumer.archive.reading.sha256 import sha256_of


@dataclass(frozen=True, slots=True)
class _Seen:
    path: Location
    events: int  # including those that its footer names as lost


@dataclass
class Chain:
    """The archives of one check. They must be checked in the order of their sequences."""

    instances: list[Instance] = field(default_factory=list)
    _seen: dict[tuple[Path | None, str], dict[int, _Seen]] = field(default_factory=dict)
    _missed: set[tuple[Path | None, naming.ArchiveId]] = field(default_factory=set)

    def check(self, verdict: Verdict) -> None:
        """Compare an archive with the archives before it, its ledger and its watermark, and note the faults."""
        if verdict.id is None:
            return
        instance = self._instance_of(verdict.path, verdict.id)
        directory = instance.directory if instance else None
        seen = self._seen.setdefault((directory, verdict.id.instance), {})
        if copy := seen.get(verdict.id.sequence):
            reason = f"archive {verdict.id} exists twice: the other file is {copy.path}"
            verdict.fault(FaultCode.ARCHIVE_TWICE, 0, reason, _utf8(copy.path))
            return
        self._missed |= {(directory, missed) for missed in _check_before(verdict, seen)}
        seen[verdict.id.sequence] = _Seen(verdict.path, verdict.events + verdict.lost)
        if instance is not None:
            _check_instance(verdict, seen[verdict.id.sequence], instance)

    def _instance_of(self, path: Location, archive: naming.ArchiveId) -> Instance | None:
        above: set[object] = set(path.parents)
        named = [one for one in self.instances if one.name == archive.instance and one.directory in above]
        return max(named, key=lambda one: len(one.directory.parts), default=None)

    def missing(self) -> Iterator[Verdict]:
        """A verdict for each archive that the ledger or the watermark names and that does not exist. Call it after the last archive."""
        for one in self.instances:
            seen = self._seen.get((one.directory, one.name), {})
            for named in one.named:
                if named.sequence not in seen and (one.directory, named) not in self._missed:
                    verdict = Verdict(one.directory / str(named), named, state=ArchiveState.MISSING)
                    reason = f"archive {named} is missing: according to the ledger or the watermark, it holds events"
                    verdict.fault(FaultCode.ARCHIVE_MISSING, 0, reason, named)
                    yield verdict


def _check_before(verdict: Verdict, seen: dict[int, _Seen]) -> list[naming.ArchiveId]:
    """Compare with the archives before. Returns the missing ones."""
    assert verdict.id is not None, "see check"
    before, own = verdict.before, verdict.id
    named = naming.parse_sealed(Path(before.archive)) if before else None
    missing = []
    sequences = {verdict.predecessor, named.sequence if named and named.instance == own.instance else 0}
    for sequence in sorted(sequences):
        if seen and min(seen) < sequence < own.sequence and sequence not in seen:
            missed = naming.ArchiveId(own.instance, sequence)
            reason = f"archive {missed} is missing: it held events when this one was opened"
            verdict.fault(FaultCode.ARCHIVE_MISSING, 0, reason, missed)
            missing.append(missed)
    if before and named and named.instance == own.instance and (found := seen.get(named.sequence)):
        _compare(verdict, found, before, "sealed before this one")
    return missing


def _check_instance(verdict: Verdict, found: _Seen, instance: Instance) -> None:
    assert verdict.id is not None, "see Chain.check"
    sealed = instance.sealed
    if sealed and naming.parse_sealed(Path(sealed.archive)) == verdict.id:
        _compare(verdict, found, sealed, "named in the ledger")
    committed = instance.committed_events(verdict.id)
    if found.events < committed:
        lost = committed - found.events
        reason = f"{counted(lost, 'event')} missing at the end: {committed} committed"
        verdict.fault(FaultCode.END_MISSING, verdict.size, reason, lost, committed)


def _compare(verdict: Verdict, found: _Seen, named: Previous, when: str) -> None:
    """Check that an archive is the named one, and holds as many events."""
    if named.sha256 and not _is(found.path, named.sha256):
        reason = f"{found.path.name} is not the archive that was {when}: its SHA-256 differs"
        verdict.fault(FaultCode.ARCHIVE_CHANGED, 0, reason, found.path.name, named.sha256)
    if found.events < named.events:
        held = f"the archive that was {when} held {named.events}"
        reason = f"{found.path.name} holds {counted(found.events, 'event')}; {held}"
        verdict.fault(FaultCode.EVENTS_MISSING, 0, reason, found.path.name, found.events, named.events)


def _utf8(path: Location) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()


def _is(path: Location, sha256: str) -> bool:
    try:
        with open_at(path) as archive:
            if sha256_of(archive) == sha256:
                return True
            # if it was rewritten, its footer names the original
            parts = archive.parts(frames=False)
            return any(isinstance(part, Seal) and part.footer.rewritten_from == sha256 for part in parts)
    except OSError:
        return False  # its own verdict reports that it cannot be read
