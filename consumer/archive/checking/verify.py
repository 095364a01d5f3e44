"""Prove that archives are complete, or report each fault with file, offset and reason.

Role: each archive is checked by itself (`check`), against the digests that list it (`listed`), against its copies at other places (`copies`),
and against the archives before it, its ledger and its watermark (`chain`). What is not there is classified (`gaps`). Invariants: digests
and ledgers are read before the archives are listed, and local places are listed before others, so that what is sealed, shipped or retired
meanwhile is not taken for a loss. Before a loss is reported, the digests are read again: an archive may have been sealed, listed, retired and
removed since the run began.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from consumer.archive.checking.acknowledged import separate_acknowledged
from consumer.archive.checking.chain import Chain
from consumer.archive.checking.check import Check, check
from consumer.archive.checking.copies import Copies
from consumer.archive.checking.fault_code import FaultCode
from consumer.archive.checking.gaps import archive_gaps, digest_gaps
from consumer.archive.checking.listed import check_listed
from consumer.archive.checking.place import Place, is_copy, places_of
from consumer.archive.checking.proof import Proof
from consumer.archive.checking.verdict import ArchiveState, GapClass, Verdict
from consumer.archive.digests.chain import InstanceChain, read_chains
from consumer.archive.digests.signing import PublicKeys
from consumer.archive.instances import find_instances
from consumer.archive.listing import id_of, is_folder, sorted_archives
from consumer.archive.location import Location
from consumer.archive.naming import ArchiveId, parse_sealed
from consumer.objects.url import ObjectUrl

Mapped = Callable[[Callable[[Check], Verdict], Iterable[Check]], Iterator[Verdict]]
Select = Callable[[Sequence[Location]], Collection[Location]]


def every(found: Sequence[Location]) -> Collection[Location]:
    """Select all archives for a deep check."""
    return frozenset(found)


def verify(paths: Sequence[Location], mapped: Mapped = map) -> Iterator[Verdict]:
    """A verdict for each archive below the paths, in order of instance and sequence, and for each that is missing. As `Verification`."""
    return Verification(paths, mapped).verdicts()


def verify_archive(path: Location) -> Verdict:
    """The verdict on one archive file, checked by itself."""
    return check(Check(path))


@dataclass
class Verification:
    """One run. `mapped` applies a function to each archive, in order: `map` itself, or a function that works ahead elsewhere.

    Each local directory is checked by itself, and so are the files that were named themselves. If a folder is a URL, or a directory that is
    a destination of another one, all folders are checked together: they hold archives of the same instances. `keys`: verify the signatures of digests. `select`: of the archives that
    were found, those to check deeply. `proof`: what was proved, complete after the last verdict. `empty`: the URLs at which there is no archive.
    """

    paths: Sequence[Location]
    mapped: Mapped = map
    keys: PublicKeys | None = None
    select: Select = every
    proof: Proof = field(default_factory=Proof)
    empty: list[Location] = field(default_factory=list)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def verdicts(self) -> Iterator[Verdict]:
        """A verdict for each archive at each place, and for each that is not at a place."""
        groups = [_Group(self, folders) for folders in _together(self.paths)]
        if named := [path for path in self.paths if not is_folder(path)]:
            groups.append(_Group(self, [], named))
        deep = self.select([one.location for group in groups for one in group.checks])
        chosen = frozenset(deep)
        for group in groups:
            for verdict in group.verdicts(chosen):
                yield verdict
                self.proof.add(verdict)  # after its reader may have acknowledged the faults

    def is_new(self, verdict: Verdict) -> bool:
        """Whether a file was not checked before: an archive that was sealed meanwhile was listed under both names."""
        if verdict.file is None:
            return True
        if verdict.file in self._seen:
            return False
        self._seen.add(verdict.file)
        return True


def _together(paths: Sequence[Location]) -> list[list[Location]]:
    """The folders in groups, each folder once. Local ones come first in a group."""
    folders: dict[Location, Location] = {}
    for path in paths:
        if is_folder(path):
            folders.setdefault(path.resolve() if isinstance(path, Path) else path, path)
    found = sorted(folders.values(), key=lambda path: not isinstance(path, Path))
    if not all(isinstance(path, Path) for path in found):
        return [found]
    local = [path for path in found if isinstance(path, Path)]
    if any(is_copy(path, local) for path in local):
        return [found]
    return [[path] for path in found]


class _Group:
    """Folders that are checked together, or named files."""

    def __init__(self, run: Verification, roots: Sequence[Location], named: Sequence[Location] = ()) -> None:
        self._run, self._roots = run, roots
        self._chains = read_chains(roots, run.keys)
        self._later: list[InstanceChain] | None = None  # read again, for what seems to be missing
        instances = [one for root in roots if isinstance(root, Path) for one in find_instances(root)]
        self._places = places_of(roots, self._chains)
        self._is_joint = len(roots) > 1 or any(not isinstance(root, Path) for root in roots)
        self._chain = Chain(instances, self._is_joint, self._is_known)
        self._paths: dict[ArchiveId, list[Location]] = {}
        self.checks = [Check(path) for path in sorted_archives(named)] if named else self._list()
        self._run.proof.add_chains(self._chains, run.keys is not None)

    def _list(self) -> list[Check]:
        found = [Check(path, place=number) for number, place in enumerate(self._places) for path in _listed(place)]
        held = {one.place for one in found}
        roots = [place.root for number, place in enumerate(self._places) if number not in held]
        self._run.empty += [root for root in roots if not isinstance(root, Path)]
        for one in found:
            if archive := id_of(one.location):
                self._paths.setdefault(archive, []).append(one.location)
        named = [(archive, one.place, at, one) for at, one in enumerate(found) if (archive := id_of(one.location))]
        return [one for *_, one in sorted(named, key=lambda row: row[:3])] + [
            one for one in found if id_of(one.location) is None
        ]

    def _is_known(self, archive: ArchiveId) -> bool:
        """Whether digests say what an archive is: then `archive_gaps` reports whether it is missing."""
        if _has(self._chains, archive):
            return True
        if self._later is None:
            self._later = read_chains(self._roots, self._run.keys)
        return _has(self._later, archive)

    def verdicts(self, deep: frozenset[Location]) -> Iterator[Verdict]:
        """The verdicts on all archives of the group, then on what is missing."""
        copies, vanished, counted = Copies(), [], set()
        checks = [Check(one.location, one.location in deep, one.place) for one in self.checks]
        for verdict, others in _with_others(filter(self._run.is_new, self._run.mapped(check, checks))):
            if verdict.vanished and (self._chains or self._is_joint):
                vanished.append(verdict)
                self._later = None  # the newest digest may have retired it
                continue
            is_origin = not self._is_joint or self._places[verdict.place].is_origin
            check_listed(verdict, _chain_of(self._chains, verdict.id), () if is_origin else others)
            if self._is_joint:
                copies.check(verdict)
                verdict.is_copy = verdict.id is not None and verdict.id in counted
                counted.add(verdict.id)
            self._chain.check(verdict)
            yield self._finished(verdict)
        yield from map(self._finished, [*self._missing(vanished), *self._digest_faults()])

    def _finished(self, verdict: Verdict) -> Verdict:
        separate_acknowledged(verdict, self._paths.get(verdict.id, ()) if verdict.id else ())
        return verdict

    def _missing(self, vanished: Sequence[Verdict]) -> Iterator[Verdict]:
        """What is not there. What is lost, and what vanished during the run, is looked at again."""
        yield from self._chain.missing()
        if not (self._chains or self._is_joint):
            return
        for verdict in vanished:
            self._places[verdict.place].present.discard(_named_id(verdict))
        gaps = list(archive_gaps(self._places, self._chains))
        if vanished or self._later is not None or any(gap.gap is GapClass.LOST for gap in gaps):
            self._look_again()
            gaps = list(archive_gaps(self._places, self._chains))
        explained = {(gap.id, gap.place) for gap in gaps} | {(gap.id, None) for gap in gaps if gap.gap is GapClass.LOST}
        for verdict in vanished:
            named = _named_id(verdict)
            is_somewhere = any(named in place.present for place in self._places)
            if not (is_somewhere or (named, verdict.place) in explained or (named, None) in explained):
                yield verdict
        yield from gaps
        yield from digest_gaps(self._places, self._chains)

    def _look_again(self) -> None:
        """Read the digests and the names again: policy may have removed archives, or moved them, since the run began."""
        self._chains = read_chains(self._roots, self._run.keys)
        for place in self._places:
            _listed(place)

    def _digest_faults(self) -> Iterator[Verdict]:
        for chain in self._chains:
            if chain.faults:
                root = self._roots[0]
                verdict = Verdict(root / "digests" / chain.instance, state=ArchiveState.DIGESTS)
                verdict.subject = f"{chain.instance}.digests"
                for fault in sorted(chain.faults, key=lambda one: one.number):
                    place = f" ({fault.place})" if fault.place else ""
                    detail = (fault.number, fault.reason) if fault.place else (fault.number,)
                    verdict.fault(FaultCode(fault.code.value), None, fault.reason + place, *detail)
                yield verdict


def _with_others(verdicts: Iterable[Verdict]) -> Iterator[tuple[Verdict, list[Verdict]]]:
    """Each verdict with those on the same archive at the other places, which follow each other."""
    for archive, group in groupby(verdicts, key=lambda one: one.id):
        if archive is None:
            yield from ((one, []) for one in group)
            continue
        same = list(group)
        yield from ((one, [other for other in same if other is not one]) for one in same)


def _chain_of(chains: Sequence[InstanceChain], archive: ArchiveId | None) -> InstanceChain | None:
    return next((one for one in chains if archive and one.instance == archive.instance), None)


def _has(chains: Sequence[InstanceChain], archive: ArchiveId) -> bool:
    """Whether a digest lists or retires an archive."""
    chain = _chain_of(chains, archive)
    return chain is not None and (archive.sequence in chain.listed or archive.sequence in chain.retired)


def _listed(place: Place) -> list[Location]:
    """The archives at a place. Notes which sealed ones are present."""
    found = [path for path in sorted_archives([place.root]) if not _is_empty_prefix(path)]
    place.present |= {archive for path in found if (archive := parse_sealed(path))}
    return found


def _is_empty_prefix(location: Location) -> bool:
    """Whether a listing gave the prefix itself, because no object is below it. Another error of the listing is a fault."""
    return (
        isinstance(location, ObjectUrl) and id_of(location) is None and isinstance(location.listed, FileNotFoundError)
    )


def _named_id(verdict: Verdict) -> ArchiveId:
    archive = id_of(verdict.path)
    assert archive is not None, "only archives are listed"
    return archive
