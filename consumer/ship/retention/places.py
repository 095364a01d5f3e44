"""The destinations as retention sees them: which archives and holds are there now, by listings and head requests.

Invariant: nothing is remembered from an earlier run. A destination that does not answer once is not asked again in the same run, and nothing
that needs it goes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from consumer.archive import naming
from consumer.archive.naming import ArchiveId
from consumer.objects.errors import ObjectError
from consumer.objects.store import Store, StoredObject
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.retention.floor import HOLD
from consumer.ship.retention.policy import Candidate
from consumer.ship.side_files import side_files

SHA256, ORIGINAL = "sha256", "original"


class Presence(StrEnum):
    """Whether a destination has an archive."""

    VERIFIED = "verified"  # an object with the size and the SHA-256 of the file
    MISSING = "missing"
    DIFFERENT = "different"
    UNKNOWN = "unknown"  # it does not answer


@dataclass
class Place:
    """One destination. `fault`: why it cannot be asked. `objects`: what the listing found, by name below the destination."""

    url: ObjectUrl
    store: Store
    fault: str = ""
    objects: dict[str, StoredObject] = field(default_factory=dict)
    holds: frozenset[str] = frozenset()

    @classmethod
    def look(cls, url: ObjectUrl) -> "Place":
        """List a destination. An error is its `fault`; it has then no objects. Raises ObjectError if the settings permit no connection."""
        place = cls(url, store_of(url))
        try:
            place.objects = {one.url.relative(url): one for one in place.store.list(url)}
        except ObjectError as error:
            place.fault = str(error)
        place.holds = frozenset(name for name in place.objects if name.rpartition("/")[2].endswith(HOLD))
        return place

    def __str__(self) -> str:
        return str(self.url)

    def archives(self) -> dict[ArchiveId, list[StoredObject]]:
        """The sealed archives, by id: several objects only if copies were put there by another program."""
        found: dict[ArchiveId, list[StoredObject]] = {}
        for one in self.objects.values():
            if archive := naming.parse_sealed(one.url):
                found.setdefault(archive, []).append(one)
        return found

    def candidates(self) -> list[Candidate]:
        """The archives as candidates of the policy. One without a valid time in its name is none."""
        return [
            Candidate(archive, one.url.relative(self.url), one.size, last_us)
            for archive, found in self.archives().items()
            for one in found[:1]
            if (last_us := naming.last_arrival_us(one.url)) is not None
        ]

    def presence(self, name: str, size: int, sha256: Callable[[], str]) -> Presence:
        """Whether the object of this name has this size and SHA-256, now. `sha256` is called only if the size is right."""
        found = self.head(name)
        if self.fault:
            return Presence.UNKNOWN
        if found is None:
            return Presence.MISSING
        same = found[0].size == size and found[1].get(SHA256) == sha256()
        return Presence.VERIFIED if same else Presence.DIFFERENT

    def head(self, name: str) -> tuple[StoredObject, dict[str, str]] | None:
        """The object of this name and its attributes; None if there is none, or if the destination does not answer (`fault`)."""
        if self.fault:
            return None
        try:
            return self.store.head(self.url / name)
        except ObjectError as error:
            self.fault = str(error)
            return None

    def get(self, name: str) -> bytes:
        """The content of a small object; empty if there is none, or if the destination does not answer (`fault`)."""
        if self.fault or self.head(name) is None:
            return b""
        try:
            return self.store.get(self.url / name)
        except FileNotFoundError:
            return b""
        except ObjectError as error:
            self.fault = str(error)
            return b""

    def has_side_files(self, root: Path, path: Path, name: str, archive: ArchiveId) -> bool:
        """Whether the objects beside an archive hold every line of its side files. Raises OSError; see `fault` if it is False."""
        folder = name.rpartition("/")[0]
        for suffix, files in side_files(root, path, archive).items():
            beside = f"{archive}{suffix}"
            there = set(self.get(f"{folder}/{beside}" if folder else beside).splitlines())
            if any(line not in there for file in files for line in file.read_bytes().splitlines()):
                return False
        return True

    def hold_of(self, name: str) -> str | None:
        """The name of the object that holds an archive: `X.hold` beside it, or `.hold` in its folder or above."""
        folder = name.rpartition("/")[0]
        candidates = [name + HOLD]
        while folder:
            candidates.append(f"{folder}/{HOLD}")
            folder = folder.rpartition("/")[0]
        candidates.append(HOLD)
        return next((one for one in candidates if one in self.holds), None)


def look_at(urls: Iterable[ObjectUrl]) -> list[Place]:
    """All destinations, each once."""
    return [Place.look(url) for url in dict.fromkeys(urls)]
