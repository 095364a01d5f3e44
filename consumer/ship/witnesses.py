"""Which SHA-256 an archive must have, according to others: the head of an archive after it, and the ledger of its instance.

Role: nothing is shipped that is not the archive that was sealed. Invariant: the head of an archive never changes, so it is read once.
"""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

from codec.archive import Previous
from consumer.archive import naming
from consumer.archive.instances import find_instances
from consumer.archive.listing import id_of
from consumer.archive.reading.reader import ArchiveFile

LATER_MAX = 8  # heads that are read per archive: an archive whose writer failed may be sealed after later ones


class Witnesses:
    """The records of one archive directory. `look` reads the ledgers; the heads are read when they are needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._heads: dict[naming.ArchiveId, Previous | None] = {}
        self._archives: dict[str, list[tuple[int, Path]]] = {}
        self._sealed: dict[str, set[str]] = {}  # SHA-256 by the name of an archive

    def look(self, archives: Sequence[Path]) -> None:
        """Read the ledgers, and take `archives` as the archives of the directory. Raises OSError."""
        self._archives = {}
        for path in archives:
            if archive := id_of(path):
                self._archives.setdefault(archive.instance, []).append((archive.sequence, path))
        for one in self._archives.values():
            one.sort()
        self._sealed = {}
        for instance in find_instances(self._directory):
            if (named := instance.sealed) and named.sha256:
                self._sealed.setdefault(named.archive, set()).add(named.sha256)

    def sha256s(self, path: Path) -> frozenset[str]:
        """The SHA-256 that the archive had when it was sealed, by each record that names it; nothing if no record does. Raises OSError."""
        named = set(self._sealed.get(path.name, ()))
        if archive := naming.parse_sealed(path):
            for later in self._later(archive):
                previous = self._previous(later)
                if previous and previous.archive == path.name:
                    if previous.sha256:
                        named.add(previous.sha256)
                    break
        return frozenset(named)

    def _later(self, archive: naming.ArchiveId) -> list[Path]:
        known = self._archives.get(archive.instance, [])
        after = bisect_right(known, archive.sequence, key=lambda one: one[0])
        return [path for _, path in known[after : after + LATER_MAX]]

    def _previous(self, path: Path) -> Previous | None:
        """What the head of an archive says of the one before; None also if the archive cannot be read."""
        archive = id_of(path)
        assert archive is not None, "see look"
        if archive not in self._heads:
            try:
                with ArchiveFile(path) as opened:
                    if opened.head is None:
                        return None  # it may be written now
                    self._heads[archive] = opened.head.previous
            except OSError:
                return None  # sealed or removed in the meantime
        return self._heads[archive]
