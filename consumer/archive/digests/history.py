"""What the digests of an archive directory say: which archives are listed, and which are retired.

Invariant: the newest digest is read, or the reader raises, so that no second chain begins. An archive that only a lost digest listed
counts as not listed, and the next digest lists it again.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

from codec.digest import ListedArchive, RetiredArchive, StoredDigest
from codec.errors import CodecError, Corrupt
from consumer.archive import naming
from consumer.archive.digests import files
from consumer.errors import DeedboxError

AGAIN_MAX = 100  # archives that one digest lists again, so that it has room for their other removals
RESTORE = "copy it from a destination or a backup; if there is no copy, move it away"


@dataclass
class History:
    """What the chain of an instance holds. `listed`: size and original SHA-256 by sequence, as they were listed last.

    `retired`: by sequence and place. An archive that was listed again after that was still there, and is not retired.
    """

    last: StoredDigest | None = None
    listed: dict[int, tuple[int, str]] = field(default_factory=dict)
    retired: dict[int, dict[str, RetiredArchive]] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path, instance: str) -> "History":
        """Read the whole chain. Raises as `history` does."""
        found = cls()
        for stored in history(directory, instance):
            found.add(stored)
        return found

    def add(self, stored: StoredDigest) -> None:
        """Add the next digest."""
        self.last = stored
        self.listed |= {one.sequence: (one.size, one.original) for one in stored.digest.archives}
        for listed in stored.digest.archives:
            self.retired.pop(listed.sequence, None)
        for gone in stored.digest.retired:
            self.retired.setdefault(gone.sequence, {})[gone.where] = gone


def retired(directory: Path) -> dict[tuple[naming.ArchiveId, str], RetiredArchive]:
    """What the digests record as retired, by archive and place. Raises as `history` does."""
    return {
        (naming.ArchiveId(instance, sequence), where): entry
        for instance in files.instances(directory)
        for sequence, places in History.read(directory, instance).retired.items()
        for where, entry in places.items()
    }


def history(directory: Path, instance: str) -> Iterator[StoredDigest]:
    """The digests of an instance that can be read, oldest first. Raises DeedboxError if the newest one cannot be read, and OSError.

    A hole stays in the chain, where `verify` reports it: the numbers and the SHA-256 in the digests around it show it for ever.
    """
    found = files.numbered(directory, instance)
    for number, path in found:
        try:
            stored = files.read_digest(path)
            if (stored.digest.number, stored.digest.instance) != (number, instance):
                raise Corrupt(f"it is digest {stored.digest.number} of {stored.digest.instance!r}")
        except CodecError as error:
            if number == found[-1][0]:
                raise DeedboxError(f"{path}: the newest digest cannot be read: {error.reason}", RESTORE) from error
            continue
        yield stored


def listed_again(
    directory: Path, instance: str, places: Set[tuple[int, str]]
) -> tuple[tuple[ListedArchive, ...], tuple[RetiredArchive, ...]]:
    """What the next digest lists, so that the removals of these sequences from these places do not count any more: each archive as it was
    listed last, and its removals from other places, which still count. AGAIN_MAX archives at most. Raises as `history` does."""
    known, last = History(), dict[int, ListedArchive]()
    wanted = {sequence for sequence, _ in places}
    for stored in history(directory, instance):
        known.add(stored)
        last |= {one.sequence: one for one in stored.digest.archives if one.sequence in wanted}
    recorded = {(sequence, where) for sequence in last for where in known.retired.get(sequence, ())}
    again = sorted({sequence for sequence, _ in recorded & places})[:AGAIN_MAX]
    rows = (
        one for sequence in again for where, one in known.retired[sequence].items() if (sequence, where) not in places
    )
    return tuple(last[sequence] for sequence in again), tuple(rows)
