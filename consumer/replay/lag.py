"""How many archived events follow the positions of a checkpoint. Reads footers and batch headers, and no event.

It counts deleted events and those that filters leave out too.
"""

from collections.abc import Mapping
from pathlib import Path

from consumer.archive.listing import find_archives, id_of
from consumer.archive.naming import ArchiveId, parse_sealed
from consumer.archive.reading.summary import summarize
from consumer.follow.checkpoint import Confirmed, StreamName


class Lag:
    """Counts the events of one archive directory. The counts of sealed archives are kept: compaction and repacking do not change them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sealed: dict[Path, int] = {}

    def behind(self, confirmed: Mapping[StreamName, Confirmed]) -> int:
        """How many events follow those that are confirmed. An archive that cannot be read now counts as empty."""
        total, paths = 0, find_archives([self._directory])
        self._sealed = {path: self._sealed[path] for path in paths if path in self._sealed}
        for path in paths:
            id = id_of(path)
            at = self._position(path, id, confirmed) if id else None
            if id is None or (at is not None and at.position.sequence > id.sequence):
                continue
            passed = at.position.event + 1 if at is not None and at.position.sequence == id.sequence else 0
            total += max(self._events(path) - passed, 0)
        return total

    def _position(self, path: Path, id: ArchiveId, confirmed: Mapping[StreamName, Confirmed]) -> Confirmed | None:
        """The confirmed event of the stream that the archive belongs to: that of the nearest directory above it."""
        homes = [
            (len(home.parts), at)
            for name, at in confirmed.items()
            if name.instance == id.instance and (home := self._directory / name.directory) in path.parents
        ]
        return max(homes, key=lambda home: home[0], default=(0, None))[1]

    def _events(self, path: Path) -> int:
        if path in self._sealed:
            return self._sealed[path]
        try:
            events = summarize(path).events
        except OSError:
            return 0
        if parse_sealed(path):
            self._sealed[path] = events
        return events
