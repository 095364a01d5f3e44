"""Check the sequence of archives: which are missing, which exist twice, which were changed after they were sealed.

It compares three records: each head names its direct predecessor and the archive that was sealed before it; the ledger names the newest
archive with a committed batch, the newest sealed one, and those that were not sealed; the watermark counts the committed events of the
newest one. Archives that are older than the oldest existing one do not count as missing, because retention deletes from the front.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codec.archive import Previous
from codec.counted import counted
from consumer.archive import naming
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.verdict import ArchiveState, GapClass, Verdict
from consumer.archive.instances import Instance
from consumer.archive.location import Location


@dataclass(frozen=True, slots=True)
class _Seen:
    path: Location
    place: int
    events: int  # including those that its footer names as lost
    sha256: str | None
    original: str | None


_Home = tuple[Path | None, str]


def _nothing(_: naming.ArchiveId) -> bool:
    return False


@dataclass
class Chain:
    """The archives of one check. They must be checked in the order of their sequences.

    `together`: all places hold archives of the same instances, so that an archive is missing only if it is at no place, and one archive at
    two places is a copy. `known`: whether something else says where an archive is that is missing here.
    """

    instances: list[Instance] = field(default_factory=list)
    together: bool = False
    known: Callable[[naming.ArchiveId], bool] = _nothing
    _seen: dict[_Home, dict[int, list[_Seen]]] = field(default_factory=dict)
    _missed: set[tuple[_Home, naming.ArchiveId]] = field(default_factory=set)

    def check(self, verdict: Verdict) -> None:
        """Compare an archive with the archives before it, its ledger and its watermark, and note the faults."""
        if verdict.id is None:
            return
        instance = self._instance_of(verdict.path, verdict.id)
        home = (instance.directory if instance and not self.together else None, verdict.id.instance)
        seen = self._seen.setdefault(home, {})
        copies = seen.setdefault(verdict.id.sequence, [])
        if copy := next((one for one in copies if not self.together or one.place == verdict.place), None):
            reason = f"archive {verdict.id} exists twice: the other file is {copy.path}"
            verdict.fault(FaultCode.ARCHIVE_TWICE, None, reason, _utf8(copy.path))
            return
        events = verdict.events + verdict.lost
        copies.append(_Seen(verdict.path, verdict.place, events, verdict.sha256, verdict.original))
        self._check_before(verdict, home, seen)
        if instance is not None:
            _check_instance(verdict, copies[-1], instance)

    def _instance_of(self, path: Location, archive: naming.ArchiveId) -> Instance | None:
        above: set[object] = set(path.parents)
        named = [one for one in self.instances if one.name == archive.instance and one.directory in above]
        return max(named, key=lambda one: len(one.directory.parts), default=None)

    def missing(self) -> Iterator[Verdict]:
        """A verdict for each archive that the ledger or the watermark names and that does not exist. Call it after the last archive."""
        for one in self.instances:
            home = (None if self.together else one.directory, one.name)
            seen = self._seen.get(home, {})
            for named in one.named:
                if named.sequence not in seen and (home, named) not in self._missed and not self.known(named):
                    reason = f"archive {named} is missing: according to the ledger or the watermark, it holds events"
                    yield missing_archive(one.directory / str(named), named, reason)

    def _check_before(self, verdict: Verdict, home: _Home, seen: dict[int, list[_Seen]]) -> None:
        """Compare with the archives before."""
        assert verdict.id is not None, "see check"
        before, own = verdict.before, verdict.id
        named = naming.parse_sealed(Path(before.archive)) if before else None
        sequences = {verdict.predecessor, named.sequence if named and named.instance == own.instance else 0}
        for sequence in sorted(sequences):
            missed = naming.ArchiveId(own.instance, sequence)
            if min(seen) < sequence < own.sequence and sequence not in seen and not self.known(missed):
                if not (
                    self.together and (home, missed) in self._missed
                ):  # of several copies, the first one reports it
                    reason = f"archive {missed} is missing: it held events when this one was opened"
                    verdict.fault(FaultCode.ARCHIVE_MISSING, None, reason, missed)
                self._missed.add((home, missed))
        if before and named and named.instance == own.instance:
            for found in seen.get(named.sequence, ()):
                _compare(verdict, found, before, "sealed before this one")


def missing_archive(path: Location, archive: naming.ArchiveId, reason: str) -> Verdict:
    """The verdict on an archive that is lost."""
    verdict = Verdict(path, archive, state=ArchiveState.MISSING, gap=GapClass.LOST)
    verdict.fault(FaultCode.ARCHIVE_MISSING, None, reason, archive)
    return verdict


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
    """Check that an archive is the named one, and holds as many events. Without a SHA-256 of the archive, the events alone are compared."""
    known = {found.sha256, found.original} - {None}
    if named.sha256 and known and named.sha256 not in known:
        reason = f"{found.path.name} is not the archive that was {when}: its SHA-256 differs"
        verdict.fault(FaultCode.ARCHIVE_CHANGED, None, reason, found.path.name, named.sha256)
    if found.events < named.events:
        held = f"the archive that was {when} held {named.events}"
        reason = f"{found.path.name} holds {counted(found.events, 'event')}; {held}"
        verdict.fault(FaultCode.EVENTS_MISSING, None, reason, found.path.name, found.events, named.events)


def _utf8(path: Location) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()
