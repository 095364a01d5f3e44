"""The sources of `Events`: a search, and a tail. They import the readers, so `archives` imports this module when it is needed."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from threading import Event as Flag

from codec.event import Event
from consumer.api.errors import ReadError
from consumer.api.event import ArchivedEvent
from consumer.archive.position import Position
from consumer.archive.reading.fault import ReadFault
from consumer.follow.latest import Latest
from consumer.follow.tail import Tail
from consumer.query.search import Found, Search
from consumer.watch.backends import choose

WAIT_S = 0.25  # the longest delay of an event that no file event announced, and of `stop`


class SearchSource:
    """Events by time. `limit`: how many at most; None for all. `strict`: raise ReadError at the end if there are faults."""

    def __init__(self, search: Search, limit: int | None, strict: bool) -> None:
        self._search, self._limit, self._strict = search, limit, strict

    @property
    def faults(self) -> Sequence[ReadFault]:
        """The faults until now: parts that could not be read."""
        return self._search.faults

    @property
    def hidden(self) -> int:
        """How many marked events were hidden."""
        return self._search.duplicates.hidden

    def read(self) -> Generator[ArchivedEvent | None, None, None]:
        """The events, in order of time."""
        left = self._limit
        for found in self._search.steps():
            if left == 0:
                break
            yield None if found is None else ArchivedEvent(found.event, Position.parse(found.position))
            left = left - 1 if left and found else left
        if self._strict and self.faults:
            raise ReadError(self.faults)

    def stop(self) -> None:
        """Read no other batch."""
        self._search.stop()


class TailSource:
    """The newest events in order of their arrival and, if `follow` is set, those that are archived after them."""

    def __init__(self, tail: Tail, newest: int, follow: bool, strict: bool) -> None:
        self._tail, self._newest, self._follow, self._strict = tail, newest, follow, strict
        self._stopped = Flag()

    @property
    def faults(self) -> Sequence[ReadFault]:
        """The faults until now: parts that could not be read."""
        return self._tail.faults

    @property
    def hidden(self) -> int:
        """How many marked events were hidden."""
        return self._tail.duplicates.hidden

    def read(self) -> Generator[ArchivedEvent | None, None, None]:
        """The events. Each None comes before a wait. `strict`: raise ReadError after the events of a round with faults."""
        with closing(self._tail):
            yield from self._round(self._tail.newest(self._newest))
            if not self._follow:
                return
            with closing(choose(every_write=True)) as backend:
                while not self._stopped.is_set():
                    yield from self._round(self._tail.read())
                    yield None
                    self._tail.wait(backend, WAIT_S)

    def _round(self, found: Iterable[Found]) -> Iterator[ArchivedEvent]:
        yield from events((one.position, one.event) for one in found)
        if self._strict and self.faults:
            raise ReadError(self.faults)

    def stop(self) -> None:
        """End at the next wait."""
        self._stopped.set()


class LatestSource:
    """The newest events of archives that are not followed. `strict`: raise ReadError after them if there are faults."""

    def __init__(self, latest: Latest, newest: int, strict: bool) -> None:
        self._latest, self._newest, self._strict = latest, newest, strict

    @property
    def faults(self) -> Sequence[ReadFault]:
        """The faults until now: parts that could not be read."""
        return self._latest.faults

    @property
    def hidden(self) -> int:
        """How many marked events were hidden."""
        return self._latest.duplicates.hidden

    def read(self) -> Generator[ArchivedEvent | None, None, None]:
        """The events, in the order of their arrival."""
        yield from events((one.position, one.event) for one in self._latest.newest(self._newest))
        if self._strict and self.faults:
            raise ReadError(self.faults)

    def stop(self) -> None:
        """The events are read before the first one is given, so that nothing can be stopped."""


def events(found: Iterable[tuple[str, Event]]) -> Iterator[ArchivedEvent]:
    """Positions and events of readers, as events of the API."""
    return (ArchivedEvent(event, Position.parse(position)) for position, event in found)
