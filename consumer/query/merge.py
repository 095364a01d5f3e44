"""Events of many batches in the order of their keys, in bounded memory, also if all batches overlap in time.

Role: `Search` adds batches in the order of their lowest keys, and takes out what no later batch can precede. Invariants: bodies that wait
take HELD_BYTES_MAX at most, besides those of the batch that is being added; what waits beyond that is known by its time and place, 24
bytes an event, and is read again when its turn comes, in the order of the keys and as much as HELD_BYTES_MAX at a time.
"""

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from codec.event import Event
from consumer.query.batches import Job

HELD_BYTES_MAX = 64 << 20
EVENT_BYTES = 700  # of the objects of an event without its body and header

Key = tuple[int, int, int]  # time, rank of the archive, number in the archive; all negated if the newest comes first
Numbered = tuple[int, Event]
Reread = Callable[[Iterable[Job]], Iterator[tuple[Job, Sequence[Numbered]]]]


class Run:
    """The accepted events of one batch in the order of their keys. `held`: how many of them, from the first on, are in memory."""

    __slots__ = ("_numbers", "_sign", "_times", "events", "job", "next", "rank", "sizes")

    def __init__(self, job: Job, events: Iterable[Numbered], sign: int) -> None:
        ordered = sorted((sign * event.time_us, sign * number, event) for number, event in events)
        self.job, self.rank, self._sign = job, sign * job.rank, sign
        self._times = array("q", [time for time, _, _ in ordered])
        self._numbers = array("q", [number for _, number, _ in ordered])
        self.sizes = array("Q", [EVENT_BYTES + len(event.body) + len(event.header) for _, _, event in ordered])
        self.events: list[Event | None] = [event for _, _, event in ordered]
        self.next = 0

    def __len__(self) -> int:
        return len(self._times)

    def key(self, at: int) -> Key:
        """The key of an event, whether it is in memory or not."""
        return self._times[at], self.rank, self._numbers[at]

    def number(self, at: int) -> int:
        """The number of an event in its archive."""
        return self._sign * self._numbers[at]

    def before(self, key: Key) -> int:
        """How many events have lower keys."""
        return bisect_left(range(len(self)), key, key=self.key)

    def take(self) -> Event | None:
        """The next event, which is in memory no longer; None if it could not be read again."""
        event = self.events[self.next]
        self.events[self.next] = None
        self.next += 1
        return event

    def cut(self, key: Key) -> None:
        """Forget the bodies from a key on."""
        del self.events[max(self.before(key), self.next) :]

    def fill(self, until: int, found: Sequence[Numbered]) -> None:
        """Have the bodies of the events before place `until` in memory again."""
        known = dict(found)
        self.events += [known.get(self.number(at)) for at in range(len(self.events), until)]


class Merge:
    """The events that wait. `reread` gives the events of jobs that were added before. `held`: the bytes of the bodies in memory."""

    def __init__(self, descending: bool, reread: Reread) -> None:
        self._sign, self._reread = -1 if descending else 1, reread
        self._heap: list[tuple[Key, int, Run]] = []
        self.held = self._serial = 0
        self._horizon: Key | None = None  # nothing from this key on is held

    def add(self, job: Job, events: Iterable[Numbered]) -> None:
        """Take in the events of a batch."""
        run = Run(job, events, self._sign)
        if not len(run):
            return
        if self._horizon is not None:
            run.cut(self._horizon)
        self.held += sum(run.sizes[: len(run.events)])
        self._serial += 1
        heapq.heappush(self._heap, (run.key(0), self._serial, run))
        if self.held > HELD_BYTES_MAX:
            self._trim()

    def until(self, bound: Key | None = None) -> Iterator[tuple[Run, int, Event]]:
        """Take out what is below the bound, in order: run, number and event."""
        heap = self._heap
        while heap and (bound is None or heap[0][0] < bound):
            _, serial, run = heap[0]
            if run.next == len(run.events):
                self._refill()
                if run.next == len(run.events):
                    return  # stopped
            number, size = run.number(run.next), run.sizes[run.next]
            event = run.take()
            self.held -= size
            if run.next < len(run):
                heapq.heapreplace(heap, (run.key(run.next), serial, run))
            else:
                heapq.heappop(heap)
            if event is not None:
                yield run, number, event

    def _trim(self) -> None:
        """Forget the bodies that are needed last, down to half of the bound."""
        held = sorted(
            (run.key(at), run.sizes[at]) for _, _, run in self._heap for at in range(run.next, len(run.events))
        )
        horizon = self._beyond(HELD_BYTES_MAX // 2, held)
        if horizon is None:
            return  # a single event is larger
        self._horizon = horizon
        for _, _, run in self._heap:
            run.cut(horizon)
        self.held = sum(sum(run.sizes[run.next : len(run.events)]) for _, _, run in self._heap)

    def _refill(self) -> None:
        """Read again what comes next, as much as may be held."""
        self._horizon = self._beyond(HELD_BYTES_MAX, heapq.merge(*(_places(run) for _, _, run in self._heap)))
        waiting = {}
        for _, _, run in self._heap:
            until = len(run) if self._horizon is None else run.before(self._horizon)
            if until > len(run.events):
                waiting[place_of(run.job)] = run, until
        for job, found in self._reread([run.job for run, _ in waiting.values()]):
            run, until = waiting[place_of(job)]
            self.held += sum(run.sizes[len(run.events) : until])
            run.fill(until, found)

    def _beyond(self, bound: int, places: Iterable[tuple[Key, int]]) -> Key | None:
        """The first key that is beyond so many bytes, but not that of the next event."""
        size = 0
        for key, more in places:
            size += more
            if size > bound and key > self._heap[0][0]:
                return key
        return None


def place_of(job: Job) -> tuple[int, int]:
    """What tells the batches of a search apart."""
    return job.rank, job.batch.header.first_event


def _places(run: Run) -> Iterator[tuple[Key, int]]:
    return ((run.key(at), run.sizes[at]) for at in range(run.next, len(run)))
