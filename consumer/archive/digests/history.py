"""What the digests of an archive directory say: which archives are listed, and which are retired.

Invariant: a chain is read whole, or the reader raises: a missing, damaged or changed digest is never passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codec.digest import RetiredArchive, StoredDigest, check_follows
from codec.errors import CodecError
from consumer.archive import naming
from consumer.archive.digests import files
from consumer.errors import DeedboxError

RESTORE = "copy the digest from a destination, or from a backup; Deedbox begins no second chain"


@dataclass
class History:
    """What the chain of an instance holds. `listed`: size and original SHA-256 by sequence, as they were listed last."""

    last: StoredDigest | None = None
    listed: dict[int, tuple[int, str]] = field(default_factory=dict)
    retired: dict[tuple[int, str], RetiredArchive] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path, instance: str) -> "History":
        """Read the whole chain. Raises DeedboxError if it is not whole, and OSError."""
        found = cls()
        for stored in history(directory, instance):
            found.add(stored)
        return found

    def add(self, stored: StoredDigest) -> None:
        """Add the next digest."""
        self.last = stored
        self.listed |= {one.sequence: (one.size, one.original) for one in stored.digest.archives}
        self.retired |= {(one.sequence, one.where): one for one in stored.digest.retired}


def retired(directory: Path) -> dict[tuple[naming.ArchiveId, str], RetiredArchive]:
    """What the digests record as retired, by archive and place. Raises DeedboxError for a chain that is not whole, and OSError."""
    return {
        (naming.ArchiveId(instance, sequence), where): entry
        for instance in files.instances(directory)
        for (sequence, where), entry in History.read(directory, instance).retired.items()
    }


def history(directory: Path, instance: str) -> Iterator[StoredDigest]:
    """The digests of an instance, oldest first. Raises DeedboxError for a chain that is not whole, and OSError."""
    before: StoredDigest | None = None
    for number, path in files.numbered(directory, instance):
        try:
            found = files.read_digest(path)
            check_follows(before, found.digest)
            if (found.digest.number, found.digest.instance) != (number, instance):
                raise DeedboxError(f"{path}: it is digest {found.digest.number} of {found.digest.instance!r}", RESTORE)
        except CodecError as error:
            raise DeedboxError(f"{path}: {error.reason}", RESTORE) from error
        yield found
        before = found
