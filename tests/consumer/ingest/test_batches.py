"""What is received, taken, divided, set aside and brought back."""

import asyncio

import pytest

from consumer.ingest.batcher import BatchLimits
from consumer.ingest.batches import Batches
from tests.support.deliveries import delivery

LIMITS = BatchLimits(count=10, bytes=1 << 20, linger_s=0.01)


@pytest.fixture
async def batches() -> Batches:
    return Batches(LIMITS, 1 << 30)


def tags(batch) -> list[int]:
    return [found.tag for found in batch.deliveries]


async def test_a_batch_is_taken_when_nothing_more_comes(batches: Batches) -> None:
    batches.put([delivery(1)])
    assert [found.tag for found in (await batches.take() or []).deliveries] == [1]


async def test_waiting_ends_with_the_first_delivery(batches: Batches) -> None:
    task = asyncio.create_task(batches.take())
    await asyncio.sleep(0)
    batches.put([delivery(1)])
    assert (await task) is not None


async def test_what_was_discarded_is_counted_and_ends_the_batches(batches: Batches) -> None:
    batches.put([delivery(1), delivery(2)])
    assert batches.discard() == 2
    assert await batches.take() is None


async def test_held_bytes_stop_the_flow_and_a_commit_lets_it_go_on() -> None:
    flow: list[bool] = []
    batches = Batches(BatchLimits(1, 1 << 20, 0.01), 20_000)
    batches.flow = flow.append
    beats: list[int] = []
    batches.keep_alive(lambda: beats.append(1))
    for tag in range(1, 5):
        batches.put([delivery(tag, b"x" * 9_000)])
    assert flow == [False]
    batches.keep_alive(lambda: beats.append(2))
    for _ in range(4):
        await batches.take()
    assert flow == [False, True]
    assert beats == [2]
    assert batches.oldest is not None


async def test_what_comes_after_the_end_is_left_to_be_given_back(batches: Batches) -> None:
    """A slow link still delivers the window after the cancel; it must not fill the memory."""
    batches.put([delivery(1)])
    batches.finish()
    batches.put([delivery(2)])
    assert batches.received == 1
    assert [found.tag for found in (await batches.take()).deliveries] == [1]
    assert await batches.take() is None


async def test_the_parts_of_a_batch_are_taken_before_what_came_later(batches: Batches) -> None:
    batches.put([delivery(tag) for tag in range(1, 5)], True)
    batch = await batches.take()
    batches.put([delivery(5)], True)
    batches.divide(batch)
    assert batches.held == 5
    assert [tags(await batches.take()) for _ in range(3)] == [[1, 2], [3, 4], [5]]


async def test_what_is_set_aside_is_held_and_does_not_stop_the_others(batches: Batches) -> None:
    batches.put([delivery(1)], True)
    batches.set_aside(await batches.take(), 7)
    batches.put([delivery(2)], True)
    assert tags(await batches.take()) == [2]
    assert not batches.nothing_left_before(2)
    assert (batches.held, batches.waiting, batches.oldest is not None) == (2, 1, True)
    batches.bring_back()
    assert tags(await batches.take()) == [1]
    assert batches.nothing_left_before(1)


async def test_nothing_else_is_taken_while_blocked(batches: Batches) -> None:
    batches.put([delivery(1)], True)
    batches.set_aside(await batches.take(), 7, alone=True)
    batches.put([delivery(2)], True)
    task = asyncio.create_task(batches.take())
    await asyncio.sleep(0.02)
    assert not task.done()
    batches.unblock(0)
    assert tags(await task) == [2]
    assert len(batches.aside) == 1
    batches.unblock(7)
    assert tags(await batches.take()) == [1]


async def test_what_is_set_aside_has_a_bound_after_which_nothing_else_is_taken() -> None:
    batches = Batches(BatchLimits(1, 1 << 20, 0.01), 20_000)
    for tag in (1, 2, 3):
        batches.put([delivery(tag, bytes(9_000))], True)
        batches.set_aside(await batches.take(), 9_000)
        assert batches.blocked is (tag == 3)


async def test_one_large_delivery_that_is_set_aside_blocks_nothing() -> None:
    batches = Batches(BatchLimits(1, 1 << 20, 0.01), 20_000)
    flow: list[bool] = []
    batches.flow = flow.append
    batches.put([delivery(1, bytes(90_000))], True)
    batches.set_aside(await batches.take(), 90_000)
    batches.put([delivery(2)], True)
    assert tags(await batches.take()) == [2]
    assert not batches.blocked
    assert flow == [False, True]


async def test_at_the_end_what_was_set_aside_is_tried_once_more(batches: Batches) -> None:
    batches.put([delivery(1)], True)
    batches.set_aside(await batches.take(), 7, alone=True)
    batches.finish()
    batches.set_aside(await batches.take(), 7, alone=True)
    assert await batches.take() is None
    assert batches.held == 1


async def test_after_the_generation_has_ended_nothing_of_it_is_taken(batches: Batches) -> None:
    batches.put([delivery(1), delivery(2)], True)
    batch = await batches.take()
    batches.discard()
    batches.divide(batch)
    assert await batches.take() is None
