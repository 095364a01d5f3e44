"""The newest events of archives anywhere: in object storage, and in directories beside it. Nothing is followed.

Invariant: as for a search, several copies of an archive count once.
"""

from collections.abc import Iterator, Sequence

from codec.event import Event
from consumer.archive.listing import find_archives, id_of
from consumer.archive.location import Location
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.duplicates import Duplicates
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.reader import open_archive
from consumer.follow.newest import Candidate, Newest
from consumer.query.query import EventFilter, Query
from consumer.query.search import Found


class Latest:
    """`newest` gives the events. `faults`: what could not be read; `archives`: how many archives there are."""

    def __init__(self, paths: Sequence[Location], query: Query | None = None) -> None:
        self._paths, self._query = paths, query or Query()
        self.faults: list[ReadFault] = []
        self.archives = 0
        self.duplicates = Duplicates(self._query.duplicates)
        self._judge = EventFilter(self._query, self._report)
        self._path: Location = paths[0]  # of the archive whose events are judged

    def newest(self, count: int) -> list[Found]:
        """The events that arrived last, in the order of their arrival."""
        candidates = list(self._candidates())
        self.archives = len(candidates)
        newest = Newest(count, self._query.wanted, self._accepts)
        found = newest.of(candidates)
        self.faults += newest.faults
        return found

    def _candidates(self) -> Iterator[Candidate]:
        places: dict[ArchiveId, list[Location]] = {}
        for path in find_archives(self._paths):
            if (id := id_of(path) or self._id_by_head(path)) is not None:
                places.setdefault(id, []).append(path)
        for id, copies in places.items():
            yield Candidate(copies[0], id, copies=tuple(copies))

    def _id_by_head(self, path: Location) -> ArchiveId | None:
        """The id of a file with a name of its own. A file that has none is a fault."""
        try:
            with open_archive(path) as archive:
                if archive.id is None:
                    self.faults.append(ReadFault(path, 0, "is no archive"))
                return archive.id
        except OSError as error:
            self.faults.append(ReadFault.of(path, error))
            return None

    def _accepts(self, path: Location, number: int, event: Event) -> bool:
        self._path = path
        return self._judge(event, "event ", number) and self.duplicates.shows(event)

    def _report(self, reason: str) -> None:
        self.faults.append(ReadFault(self._path, None, reason))
