from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from codec.archive import BatchHeader
from codec.event import Event
from consumer.archive.reading.reader import StoredBatch
from consumer.archive.reading.tombstones import Tombstones
from consumer.query import merge
from consumer.query.batches import BatchRequest
from consumer.query.merge import EVENT_BYTES, Merge, Numbered
from consumer.query.query import Query
from tests.support.archive_logs import event

BODY = 100


class Batches:
    """Batches in memory, in the order in which a search reads them."""

    def __init__(self, random: Random, descending: bool) -> None:
        self.sign = -1 if descending else 1
        self.reads = 0
        self.events: dict[tuple[int, int], list[Numbered]] = {}
        self.requests = []
        for archive_index in range(random.randrange(1, 4)):
            first = 0
            for number in range(random.randrange(1, 8)):
                count = random.randrange(1, 9)
                made = [(first + at, self.event(random)) for at in range(count)]
                times = [one.time_us for _, one in made]
                header = BatchHeader(number, count, count, 1, 1, first, min(times), max(times), 0, 0, 0, 0, 0)
                self.requests.append(BatchRequest(Path(), archive_index, StoredBatch(0, header), Tombstones(), Query()))
                self.events[archive_index, first] = [pair for pair in made if random.random() < 0.9]
                first += count
        self.requests.sort(key=self.edge)

    def event(self, random: Random) -> Event:
        return event(random.randrange(1000))._replace(
            time_us=random.choice([0, 5, random.randrange(20)]), body=bytes(BODY)
        )

    def edge(self, request: BatchRequest) -> tuple[int, int, int]:
        header = request.batch.header
        last = header.first_event + header.events - 1
        found = (
            (header.first_us, request.archive_index, header.first_event)
            if self.sign > 0
            else (header.last_us, request.archive_index, last)
        )
        return tuple(self.sign * one for one in found)

    def of(self, request: BatchRequest) -> list[Numbered]:
        return self.events[request.archive_index, request.batch.header.first_event]

    def reread(self, requests: Iterable[BatchRequest]) -> Iterator[tuple[BatchRequest, Sequence[Numbered]]]:
        for request in requests:
            self.reads += 1
            yield request, self.of(request)

    def expected(self) -> list[tuple[int, int, int]]:
        pairs = ((request, pair) for request in self.requests for pair in self.of(request))
        keys = [
            (self.sign * one.time_us, self.sign * request.archive_index, self.sign * number)
            for request, (number, one) in pairs
        ]
        return sorted(keys)


@pytest.mark.parametrize("descending", [False, True])
def test_the_order_does_not_depend_on_the_memory_limit(monkeypatch: pytest.MonkeyPatch, descending: bool) -> None:
    reads = 0
    for seed in range(300):
        random = Random(seed)
        monkeypatch.setattr(merge, "HELD_BYTES_MAX", random.randrange(1, 20 * (BODY + EVENT_BYTES)))
        batches = Batches(random, descending)
        merged, found = Merge(descending, batches.reread), []

        def take(bound: tuple[int, int, int] | None, merged: Merge = merged, found: list = found) -> None:
            for run, number, one in merged.pop_until(bound):
                sign = -1 if descending else 1
                found.append((sign * one.time_us, sign * run.request.archive_index, sign * number))

        for request in batches.requests:
            take(batches.edge(request))
            merged.add(request, batches.of(request))
            assert merged.held <= merge.HELD_BYTES_MAX + 9 * (BODY + EVENT_BYTES + 2), "the batch in hand comes on top"
        take(None)
        assert found == batches.expected(), seed
        assert merged.held == 0
        reads += batches.reads
    assert reads > 1000, "bodies are read again"


def test_events_within_the_memory_limit_are_not_read_again() -> None:
    batches = Batches(Random(7), False)
    merged = Merge(False, batches.reread)
    for request in batches.requests:
        merged.add(request, batches.of(request))
    assert len(list(merged.pop_until())) == len(batches.expected())
    assert batches.reads == 0


def test_events_of_one_time_are_yielded_before_everything_is_read() -> None:
    """Times in whole seconds: all batches begin at the same one, and no event was returned before all of them were read."""
    header = BatchHeader(0, 1, 1, 1, 1, 0, 5, 5, 0, 0, 0, 0, 0)
    request = BatchRequest(Path(), 0, StoredBatch(0, header), Tombstones(), Query())
    merged = Merge(False, lambda _: iter(()))
    merged.add(request, [(0, event(1)._replace(time_us=5))])
    assert len(list(merged.pop_until((5, 0, 1)))) == 1


def test_an_event_that_cannot_be_read_again_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "HELD_BYTES_MAX", 1)
    batches = Batches(Random(3), False)
    merged = Merge(False, lambda requests: ((request, []) for request in requests))
    for request in batches.requests:
        merged.add(request, batches.of(request))
    assert len(list(merged.pop_until())) < len(batches.expected())
