"""The destinations as retention sees them: which archives and holds are there now, by listings and head requests.

Invariants: nothing is remembered from an earlier run. The file itself under another name, by a mount or a hard link, is no copy. An object
without attributes is read, as shipping does, so that it is compared by its content. A destination that does not answer once is not asked
again in the same run, and nothing that needs it goes.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from consumer.archive import naming
from consumer.archive.naming import ArchiveId
from consumer.objects.errors import AccessDenied, ObjectError
from consumer.objects.store import Store, StoredObject
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.compare import ORIGINAL, SHA256, Facts
from consumer.ship.retention.floor import HOLD
from consumer.ship.retention.policy import Candidate
from consumer.ship.side_files import side_files
from consumer.ship.target import Target

LISTING_S = 5.0  # a listing of this age is made again before an object is removed


class Presence(StrEnum):
    """Whether a destination has an archive."""

    VERIFIED = "verified"  # an object with the size and the SHA-256 of the file
    MISSING = "missing"
    DIFFERENT = "different"
    SAME_FILE = "same file"  # the object is the file itself: its removal would remove both
    UNKNOWN = "unknown"  # it does not answer


@dataclass
class Place:
    """One destination. `fault`: why it cannot be asked. `objects`: what the listing found, by name below the destination.

    `refused`: why it does not answer about one object only, by name.
    """

    url: ObjectUrl
    store: Store
    fault: str = ""
    objects: dict[str, StoredObject] = field(default_factory=dict)
    holds: frozenset[str] = frozenset()
    refused: dict[str, str] = field(default_factory=dict)
    _listed_at: float = 0.0
    _read: dict[StoredObject, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def look(cls, url: ObjectUrl) -> "Place":
        """List a destination. An error is its `fault`; it has then no objects. Raises ObjectError if the settings permit no connection."""
        place = cls(url, store_of(url))
        place.list_again()
        return place

    def list_again(self) -> None:
        """List the destination, unless that was done within the last LISTING_S seconds."""
        if self.fault or (self._listed_at and time.monotonic() - self._listed_at < LISTING_S):
            return
        try:
            self.objects = {one.url.relative(self.url): one for one in self.store.list(self.url)}
        except ObjectError as error:
            self.fault, self.objects = str(error), {}
        self.holds = frozenset(name for name in self.objects if name.rpartition("/")[2].endswith(HOLD))
        self._listed_at = time.monotonic()

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

    def presence(self, name: str, size: int, sha256: Callable[[], str], file: Path | None = None) -> Presence:
        """Whether the object of this name has this size and SHA-256, now, and is not `file` itself.

        `sha256` is called only if the size is right.
        """
        found = self.head(name)
        if self.why_silent(name):
            return Presence.UNKNOWN
        if found is None:
            return Presence.MISSING
        if file is not None and self._is_file(name, file):
            return Presence.SAME_FILE
        if found[0].size != size:
            return Presence.DIFFERENT
        attributes = self.completed(*found)
        if self.why_silent(name):
            return Presence.UNKNOWN
        return Presence.VERIFIED if attributes.get(SHA256) == sha256() else Presence.DIFFERENT

    def file_of(self, name: str) -> Path | None:
        """The file of an object, if the destination is a local directory."""
        return Path(self.url.bucket, self.url.key, name) if self.url.scheme == "file" else None

    def _is_file(self, name: str, file: Path) -> bool:
        there = self.file_of(name)
        try:
            return there is not None and there.samefile(file)
        except FileNotFoundError:
            return False

    def completed(self, found: StoredObject, attributes: dict[str, str]) -> dict[str, str]:
        """The attributes of an object; those of its content if it has none. If it cannot be read, see `fault`."""
        if SHA256 in attributes or ORIGINAL in attributes:
            return attributes
        try:
            if found not in self._read:
                facts = Target(self.store, self.url).read_facts(found, Facts(found.size))
                self._read[found] = {SHA256: facts.sha256 or "", ORIGINAL: facts.original or facts.sha256 or ""}
            return self._read[found]
        except ObjectError as error:
            self._note(found.url.relative(self.url), error)
            return attributes

    def head(self, name: str) -> tuple[StoredObject, dict[str, str]] | None:
        """The object of this name and its attributes; None if there is none, or if the destination does not answer (`fault`)."""
        if self.fault:
            return None
        try:
            return self.store.head(self.url / name)
        except (ObjectError, ValueError) as error:
            self._note(name, error)
            return None

    def why_silent(self, name: str) -> str:
        """Why the destination does not answer about an object; empty if it does."""
        return self.fault or self.refused.get(name, "")

    def _note(self, name: str, error: ObjectError | ValueError) -> None:
        """Note an error: that access is denied, or that a name is no key, is about one object; all others are about the destination."""
        if isinstance(error, AccessDenied | ValueError):
            self.refused[name] = str(error)
        else:
            self.fault = str(error)

    def get(self, name: str) -> bytes:
        """The content of a small object; empty if there is none, or if the destination does not answer (`fault`)."""
        if self.fault or self.head(name) is None:
            return b""
        try:
            return self.store.get(self.url / name)
        except FileNotFoundError:
            return b""
        except ObjectError as error:
            self._note(name, error)
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
        """The name of the object that holds an archive, by the listing: `X.hold` beside it, or `.hold` in its folder or above."""
        return next((one for one in _holds_of(name) if one in self.holds), None)

    def hold_now(self, name: str) -> str | None:
        """As `hold_of`, asked now. One about which the destination does not answer may be there, and holds. See also `fault`."""
        return next((one for one in _holds_of(name) if self.head(one) is not None or one in self.refused), None)


def _holds_of(name: str) -> list[str]:
    """The names of the objects that hold an archive if they are there."""
    folder = name.rpartition("/")[0]
    found = [name + HOLD]
    while folder:
        found.append(f"{folder}/{HOLD}")
        folder = folder.rpartition("/")[0]
    return [*found, HOLD]


def look_at(urls: Iterable[ObjectUrl]) -> list[Place]:
    """All destinations, each once."""
    return [Place.look(url) for url in dict.fromkeys(urls)]
