"""When a digest may go to a destination: only after everything that it lists is there.

Invariant: a digest at a destination names no archive that was not verified there, unless a digest says that policy retired it, or an operator
has acknowledged its loss. So a digest never covers a failed upload.
"""

from collections.abc import Iterable
from pathlib import Path

from codec.digest import LOCAL, Digest, ListedArchive
from codec.errors import CodecError
from consumer.archive import naming
from consumer.archive.checking.acknowledged import is_acknowledged_loss
from consumer.archive.digests.files import read_digest
from consumer.archive.digests.history import RESTORE
from consumer.errors import DeedboxError
from consumer.ship.compare import Facts
from consumer.ship.local_files import Kind, Listing, LocalFile
from consumer.ship.record import Record
from consumer.ship.target import Target


class DigestWaits(DeedboxError):
    """An archive that the digest lists is not shipped yet."""


class ArchiveLost(DeedboxError):
    """An archive that the digest lists is neither in the archive directory nor at the destination, and was neither retired nor acknowledged."""


class DigestGates:
    """The gates of one pass over one destination. Archives must be shipped before."""

    def __init__(self, directory: Path, target: Target, record: Record, listing: Listing) -> None:
        self._directory, self._target, self._record = directory, target, record
        self._local = {file.name for file in listing.files if file.kind is Kind.ARCHIVE}
        self._digests = [file for file in listing.files if file.kind is Kind.DIGEST]
        self._retired: set[str] | None = None

    def check(self, file: LocalFile) -> None:
        """Check that the digest may be put. Raises DigestWaits, ArchiveLost, DeedboxError, OSError and ObjectError."""
        for one in _read(file).archives:
            if one.path in self._local:
                if not self._record.is_verified(one.path):
                    raise DigestWaits(f"{file.path}: it lists {one.path}, which is not there yet")
            elif not self._may_be_absent(one) and not self._is_there(one):
                what = f"{file.path}: it lists {one.path}, which is neither here nor there, and not retired"
                raise ArchiveLost(
                    what,
                    "put the archive back, for example with `deedbox fetch` from another destination, or acknowledge the loss with `deedbox verify --acknowledge`",
                )

    def _may_be_absent(self, one: ListedArchive) -> bool:
        """Whether policy removed the archive, or an operator has acknowledged its loss."""
        archive = naming.parse_sealed(Path(one.path))
        known = archive is not None and is_acknowledged_loss(self._directory, archive)
        return known or one.path in self._retired_paths()

    def _is_there(self, one: ListedArchive) -> bool:
        """Whether the destination holds an archive that is not in the archive directory any more."""
        found = self._target.content_facts(one.path)
        return found is not None and is_listed(found[1], one)

    def _retired_paths(self) -> set[str]:
        if self._retired is None:
            self._retired = retired_paths(map(_read, self._digests), str(self._target.base))
        return self._retired


def retired_paths(chain: Iterable[Digest], destination: str) -> set[str]:
    """The archives that policy removed from the archive directory or from a destination, by digests in their order.

    What a later digest lists again was still there: an earlier record of its removal does not count.
    """
    gone: set[str] = set()
    for digest in chain:
        gone -= {one.path for one in digest.archives}
        gone |= {one.path for one in digest.retired if one.where in (LOCAL, destination)}
    return gone


def is_listed(there: Facts, one: ListedArchive) -> bool:
    """Whether an object is the archive that a digest lists, or another writing of the same original."""
    return there.sha256 in (one.sha256, one.original) or there.original == one.original


def _read(file: LocalFile) -> Digest:
    """The document of a digest file. Raises DeedboxError if it is none, and OSError."""
    try:
        return read_digest(file.path).digest
    except CodecError as error:
        raise DeedboxError(f"{file.path}: {error}", RESTORE) from error
