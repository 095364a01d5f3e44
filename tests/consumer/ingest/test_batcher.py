from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.event import Event
from consumer.amqp.delivery import Delivery, size_of
from consumer.ingest.batcher import IDLE_S, Batcher, BatchLimits, DeliveryBatch, divide
from consumer.ingest.describe import describe
from tests.support.deliveries import delivery

LIMITS = BatchLimits(count=4, bytes=10_000, linger_s=0.1)


def batcher(*chunks: tuple[int, float], size: int = 0) -> Batcher:
    """Return a batcher with chunks of (number of deliveries, loop time)."""
    made, tag = Batcher(LIMITS), 0
    for count, now in chunks:
        made.add([delivery(tag := tag + 1, b"x" * size) for _ in range(count)], now)
    return made


def test_an_empty_batcher_is_never_due() -> None:
    assert batcher().due_at() is None


def test_a_batch_is_due_when_no_more_deliveries_arrive() -> None:
    assert batcher((1, 5.0)).due_at() == 5.0 + IDLE_S


def test_a_batch_is_due_at_once_when_the_socket_was_drained() -> None:
    made = batcher((1, 5.0))
    made.add([delivery(2)], 5.01, drained=True)
    assert made.due_at() == 0.0
    made.add([delivery(3)], 5.02)
    assert made.due_at() == 5.02 + IDLE_S


def test_a_batch_is_due_after_the_linger_time_while_more_deliveries_arrive() -> None:
    assert batcher((1, 5.0), (1, 5.09999)).due_at() == 5.1


def test_a_full_batch_is_due_at_once() -> None:
    assert batcher((4, 5.0)).due_at() == 0.0
    assert batcher((2, 5.0), size=5000).due_at() == 0.0


def test_a_delivery_larger_than_the_limit_is_a_batch_of_its_own() -> None:
    made = batcher((3, 5.0), size=50_000)
    assert [len(made.take().deliveries) for _ in range(3)] == [1, 1, 1]


def test_a_batch_has_its_last_tag_and_the_time_of_its_first_arrival() -> None:
    made = batcher((3, 5.0), (3, 6.0))
    first = made.take()
    assert (first.last_tag, first.since) == (4, 5.0)
    assert made.oldest == 6.0
    assert (made.take().last_tag, made.count, made.size) == (6, 0, 0)


@given(st.lists(st.lists(st.integers(0, 6000), min_size=1, max_size=8), max_size=10))
def test_batches_contain_every_delivery_once_in_order_and_within_the_limits(chunks: list[list[int]]) -> None:
    made, tag = Batcher(LIMITS), 0
    for chunk in chunks:
        made.add([delivery(tag := tag + 1, b"x" * size) for size in chunk], 1.0)
    taken = []
    while made.count:
        batch = made.take()
        assert len(batch.deliveries) <= LIMITS.count
        assert size_of(batch.deliveries[:-1]) < LIMITS.bytes
        assert batch.size == size_of(batch.deliveries)
        taken += [found.tag for found in batch.deliveries]
    assert taken == list(range(1, tag + 1))
    assert made.size == 0


def test_clear_returns_the_number_of_dropped_deliveries() -> None:
    made = batcher((3, 5.0))
    assert (made.clear(), made.count, made.size, made.due_at()) == (3, 0, 0, None)


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([10, 10, 10, 10], [[1, 2], [3, 4]]),
        ([10, 10], [[1], [2]]),
        ([10, 9000, 10], [[1], [2], [3]]),
        ([9000, 10, 10], [[1], [2, 3]]),
        ([10, 10, 9000], [[1, 2], [3]]),
    ],
)
def test_a_batch_is_divided_at_a_very_large_delivery_or_in_halves(sizes: list[int], parts: list[list[int]]) -> None:
    deliveries = [delivery(tag, bytes(size)) for tag, size in enumerate(sizes, 1)]
    batch = DeliveryBatch(deliveries, size_of(deliveries), 3.0)
    batch.events_by(lambda found: [describe(one) for one in found])
    found = divide(batch)
    assert [[one.tag for one in part.deliveries] for part in found] == parts
    assert sum(part.size for part in found) == batch.size
    assert [event for part in found for event in part.events or ()] == [describe(one) for one in deliveries]


def test_the_events_of_a_batch_are_made_once() -> None:
    calls: list[int] = []

    def make(found: Sequence[Delivery]) -> list[Event]:
        calls.append(len(found))
        return [describe(one) for one in found]

    batch = DeliveryBatch([delivery(1)], 1, 0.0)
    assert batch.events_by(make) == batch.events_by(make) == [describe(delivery(1))]
    assert calls == [1]
