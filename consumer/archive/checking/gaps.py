"""Classify what is not at a place where it should be: delayed, uploading, retired, elsewhere or lost.

Role: digests say which archives exist, and which ones policy removed from where; the places say what they hold. Invariant: LOST is given
only if no place that is checked holds the archive, and at least one place must hold it. An archive that no digest lists is never lost
here: the heads of later archives and the ledger show that (`chain`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from codec.counted import counted
from codec.digest import LOCAL, RetiredArchive
from consumer.archive import naming
from consumer.archive.checking.chain import missing_archive
from consumer.archive.checking.place import Place
from consumer.archive.checking.verdict import ArchiveState, GapClass, Verdict
from consumer.archive.digests.chain import InstanceChain
from consumer.archive.location import Location


def archive_gaps(places: Sequence[Place], chains: Sequence[InstanceChain]) -> Iterator[Verdict]:
    """A verdict for each archive that is not at a place, in order. One that is lost has one verdict."""
    by_instance = {chain.instance: chain for chain in chains}
    listed = {naming.ArchiveId(chain.instance, sequence) for chain in chains for sequence in chain.listed}
    for archive in sorted(listed.union(*(place.present for place in places))):
        if all(archive in place.present for place in places):
            continue
        yield from _Absence(archive, places, by_instance.get(archive.instance)).verdicts()


@dataclass
class _Absence:
    """An archive that is not at every place."""

    archive: naming.ArchiveId
    places: Sequence[Place]
    chain: InstanceChain | None

    def verdicts(self) -> Iterator[Verdict]:
        """One for each place at which it is missing, or one if it is lost."""
        absent = [number for number, place in enumerate(self.places) if self.archive not in place.present]
        classes = {number: self._class_at(number) for number in absent}
        owing = [number for number, found in classes.items() if found is GapClass.LOST]
        if owing and len(absent) == len(self.places):
            yield self._lost(owing[0])
            return
        for number, found in classes.items():
            if found is not None and found is not GapClass.LOST:
                yield self._gap(number, found)

    def _class_at(self, number: int) -> GapClass | None:
        """Why it is not at this place. LOST: it should be there, and no record explains why it is not; None: it need not be there."""
        place = self.places[number]
        if place.is_origin and not place.makes(self.archive.instance):
            return None
        if any(place.is_named(one.where) for one in self._retired):
            return GapClass.RETIRED
        if not self._is_kept(place) and self._was_gone_before(place):
            return GapClass.RETIRED
        holders = [other for other in self.places if self.archive in other.present]
        if not place.is_origin and any(other.is_origin for other in holders):
            is_sent = any(other.is_uploading(self.archive) for other in holders)
            return GapClass.UPLOADING if is_sent else GapClass.DELAYED
        if self._is_owed(number):
            return GapClass.ELSEWHERE if holders else GapClass.LOST
        return None

    @property
    def _retired(self) -> Sequence[RetiredArchive]:
        return self.chain.retired.get(self.archive.sequence, []) if self.chain else []

    def _is_kept(self, place: Place) -> bool:
        """Whether the archive was verified at this place before it was removed from another one."""
        return any(place.is_named(where) for one in self._retired for where in one.kept)

    def _was_gone_before(self, place: Place) -> bool:
        """Whether policy removed it from its origin when other destinations held it, and not this one: it was added later."""
        return not place.is_origin and any(one.where == LOCAL and one.kept for one in self._retired)

    def _is_owed(self, number: int) -> bool:
        """Whether it must be at the place: it is made there, it was kept there, or a digest that is there lists it and is shipped after it."""
        place, sequence = self.places[number], self.archive.sequence
        if self.chain is None:
            return False
        if place.is_origin:
            return sequence in self.chain.listed
        return self._is_kept(place) or sequence in self.chain.listed_at.get(number, set())

    def _path(self, number: int) -> Location:
        return self.places[number].root / str(self.archive)

    def _lost(self, number: int) -> Verdict:
        assert self.chain is not None, "only a digest can say that an archive is lost"
        digest, entry = self.chain.listed[self.archive.sequence][-1]
        reason = f"archive {self.archive} is missing: digest {digest} lists it: {counted(entry.events, 'event')}, file {entry.path}"
        local = [at for at, place in enumerate(self.places) if isinstance(place.root, Path)]
        return missing_archive(self._path(local[0] if local else number), self.archive, reason)

    def _gap(self, number: int, found: GapClass) -> Verdict:
        return Verdict(self._path(number), self.archive, state=ArchiveState.MISSING, gap=found, place=number)


def digest_gaps(places: Sequence[Place], chains: Sequence[InstanceChain]) -> Iterator[Verdict]:
    """A verdict for the digests of an instance that one place lacks and another one has."""
    for chain in chains:
        for number, place in enumerate(places):
            absent = sorted(chain.digests.keys() - chain.held.get(number, set()))
            if absent and any(archive.instance == chain.instance for archive in place.present):
                held = chain.held.get(number, set())
                is_new = not place.is_origin and absent[0] > max(held, default=0)
                found = GapClass.DELAYED if is_new else GapClass.ELSEWHERE
                path = place.root / f"digests/{chain.instance}/{absent[0]:08d}.digest"
                yield Verdict(path, state=ArchiveState.DIGESTS, gap=found, place=number)
