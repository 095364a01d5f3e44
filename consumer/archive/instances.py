"""The instances of a directory, by their ledgers and watermarks: which archives must exist.

Invariant: ledgers and watermarks are read before the archives are listed, so that they never name more than the archives hold.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from codec.archive import Previous
from codec.watermark import Watermark
from consumer.archive import naming
from consumer.archive.ledger import State, read
from consumer.archive.watermark import read_watermark

_SUFFIXES = (".ledger", ".committed")


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of an archive directory."""

    directory: Path
    name: str
    state: State
    mark: Watermark | None

    @property
    def named(self) -> list[naming.ArchiveId]:
        """The archives that are known to hold committed batches: the newest one, the newest sealed one, and all that are not sealed."""
        sealed = naming.parse_sealed(Path(self.state.previous.archive)) if self.state.previous else None
        newest = max(self.state.committed, self.mark.sequence if self.mark else 0)
        sequences = {newest, sealed.sequence if sealed else 0, *self.state.unsealed} - {0}
        return [naming.ArchiveId(self.name, sequence) for sequence in sorted(sequences)]

    @property
    def sealed(self) -> Previous | None:
        """The newest sealed archive in the ledger."""
        return self.state.previous

    def committed_events(self, archive: naming.ArchiveId) -> int:
        """How many events of an archive are known to be committed, at least."""
        marked = self.mark.events if self.mark and self.mark.sequence == archive.sequence else 0
        return max(marked, self.state.committed_events(archive.sequence))


def find_instances(directory: Path) -> list[Instance]:
    """The instances that have a ledger or a watermark in the directory or below it."""
    found = {
        (Path(place), name.removesuffix(suffix))
        for place, _, names in os.walk(directory)
        for name in names
        for suffix in _SUFFIXES
        if name.endswith(suffix) and naming.is_instance(name.removesuffix(suffix))
    }
    return [
        Instance(place, name, read(place / f"{name}.ledger") or State(), read_watermark(place, name))
        for place, name in sorted(found)
    ]
