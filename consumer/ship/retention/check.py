"""Whether an archive may be removed from a place: what keeps it there, and where else it was verified.

Invariants: nothing is believed that was not read or asked in this run. A destination counts if it has the archive, with the size and the
SHA-256 of the file and with all its deletions, or if the digests record that policy removed the archive there. A hold at any place holds the
archive at every place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from codec.digest import RetiredArchive
from consumer.archive.digests.history import History
from consumer.archive.naming import ArchiveId
from consumer.archive.writing.sealing import digest
from consumer.ship.compare import ORIGINAL, SHA256
from consumer.ship.retention.floor import local_hold, waiting_followers
from consumer.ship.retention.local import Directory
from consumer.ship.retention.places import Place, Presence
from consumer.ship.retention.policy import Candidate, Stay

Retired = Mapping[tuple[ArchiveId, str], RetiredArchive]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about an archive at a place. `stays`: why it must stay. `sha256`: of its content. `kept`: where else it was verified."""

    stays: tuple[Stay, ...] = ()
    sha256: str = ""
    kept: tuple[str, ...] = ()


@dataclass
class Check:
    """The checks of one run. `directory` and `places` were read in this run. `findings`: the results, by place and name."""

    directory: Directory
    places: Sequence[Place]
    retired: Retired
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    _sha256s: dict[tuple[Path, int, int], str] = field(default_factory=dict)
    _histories: dict[str, History] = field(default_factory=dict)

    def local(self, candidate: Candidate, again: bool = False) -> Finding:
        """What keeps an archive in the archive directory. `again`: just before the removal, when the holds are asked for. Raises DeedboxError if a checkpoint or a hold cannot be read, and OSError."""
        stays = self.directory.why_stays(candidate.archive) or self._remote_holds(candidate.name, again)
        if not stays:
            stays = [_silent(place) for place in self.places if place.fault]
        if stays:
            return Finding(tuple(stays))
        path = self.directory.archives[candidate.archive].path
        kept, missing = self._elsewhere(
            candidate, self.places, path.stat().st_size, partial(self._sha256_of, path), path
        )
        missing += [
            Stay(f"its deleted events are not at {place} yet")
            for place in kept
            if not place.has_side_files(self.directory.root, path, candidate.name, candidate.archive)
        ]
        return Finding(tuple(missing), "" if missing else self._sha256_of(path), tuple(map(str, kept)))

    def remote(self, place: Place, candidate: Candidate, again: bool = False) -> Finding:
        """What keeps an archive at a destination. `again`: just before the removal; the destination is listed again. Raises as `local` does."""
        if again:
            place.list_again()
        stays = [] if place.fault else self._why_stays_there(place, candidate, again)
        head = None if stays else place.head(candidate.name)
        attributes = place.completed(*head) if head else {}
        if place.why_silent(candidate.name):
            stays = [_silent(place, candidate.name)]
        elif not stays and not self._is_listed(candidate, attributes):
            stays = [Stay("no digest lists an archive with its SHA-256")]
        if stays or head is None:
            return Finding(tuple(stays))
        sha256 = attributes[SHA256]
        others = [other for other in self.places if other is not place]
        file = place.file_of(candidate.name)
        kept, missing = self._elsewhere(candidate, others, head[0].size, lambda: sha256, file)
        return Finding(tuple(missing), sha256, tuple(map(str, kept)))

    def _why_stays_there(self, place: Place, candidate: Candidate, again: bool) -> list[Stay]:
        archive, path = candidate.archive, self.directory.root / candidate.name
        if archive in self.directory.archives:
            return [Stay("is still in the archive directory, and would be shipped again", intended=True)]
        found = place.archives()
        if archive not in found:
            return [Stay("is gone: another process removed it")]
        if archive.sequence == max(one.sequence for one in found if one.instance == archive.instance):
            return [Stay("is the newest archive of its instance there", intended=True)]
        if len(found[archive]) > 1:
            return [Stay(f"exists twice: {found[archive][1].url}")]
        hold = local_hold(self.directory.root, path)
        holds = [Stay(f"{hold} holds it", intended=True)] if hold else self._remote_holds(candidate.name, again)
        return holds or [*map(Stay, waiting_followers(path, archive))]

    def _remote_holds(self, name: str, again: bool) -> list[Stay]:
        return [
            Stay(f"{place.url / hold} holds it", intended=True)
            for place in self.places
            if (hold := place.hold_now(name) if again else place.hold_of(name))
        ]

    def _elsewhere(
        self, candidate: Candidate, places: Sequence[Place], size: int, sha256: Callable[[], str], file: Path | None
    ) -> tuple[list[Place], list[Stay]]:
        """The destinations at which the archive is verified, and why others do not count."""
        kept, missing = [], []
        for place in places:
            presence = place.presence(candidate.name, size, sha256, file)
            if presence is Presence.VERIFIED:
                kept.append(place)
            elif presence is Presence.UNKNOWN:
                missing.append(_silent(place, candidate.name))
            elif presence is Presence.SAME_FILE:
                missing.append(Stay(f"is the same file at {place}, which is no copy"))
            elif presence is Presence.DIFFERENT:
                missing.append(Stay(f"differs from the object at {place}"))
            elif (candidate.archive, str(place)) not in self.retired:
                missing.append(Stay(f"is not at {place} yet"))
        return kept, missing

    def _is_listed(self, candidate: Candidate, attributes: Mapping[str, str]) -> bool:
        """Whether a digest lists the archive of an object, or the original of which the object is a rewriting."""
        archive = candidate.archive
        if archive.instance not in self._histories:
            self._histories[archive.instance] = History.read(self.directory.root, archive.instance)
        listed = self._histories[archive.instance].listed.get(archive.sequence)
        sha256 = attributes.get(SHA256)
        return sha256 is not None and listed is not None and listed[1] == attributes.get(ORIGINAL, sha256)

    def _sha256_of(self, path: Path) -> str:
        """The SHA-256 of a file, computed in this run."""
        stat = path.stat()
        key = path, stat.st_ino, stat.st_mtime_ns
        if key not in self._sha256s:
            self._sha256s[key] = digest(path)
        return self._sha256s[key]


def _silent(place: Place, name: str = "") -> Stay:
    return Stay(f"{place} does not answer: {place.why_silent(name)}")
