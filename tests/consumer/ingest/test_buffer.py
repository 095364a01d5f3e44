"""What is received, taken, divided, set aside and brought back."""

import asyncio

import pytest

from consumer.ingest.batcher import BatchLimits
from consumer.ingest.buffer import DeliveryBuffer
from tests.support.deliveries import delivery

LIMITS = BatchLimits(count=10, bytes=1 << 20, linger_s=0.01)


@pytest.fixture
async def buffer() -> DeliveryBuffer:
    return DeliveryBuffer(LIMITS, 1 << 30)


def tags(batch) -> list[int]:
    return [found.tag for found in batch.deliveries]


async def test_a_batch_is_taken_when_nothing_more_comes(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1)])
    assert [found.tag for found in (await buffer.take() or []).deliveries] == [1]


async def test_waiting_ends_with_the_first_delivery(buffer: DeliveryBuffer) -> None:
    task = asyncio.create_task(buffer.take())
    await asyncio.sleep(0)
    buffer.put([delivery(1)])
    assert (await task) is not None


async def test_what_was_discarded_is_counted_and_ends_the_batches(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1), delivery(2)])
    assert buffer.discard() == 2
    assert await buffer.take() is None


async def test_held_bytes_stop_the_flow_and_a_commit_lets_it_go_on() -> None:
    flow: list[bool] = []
    buffer = DeliveryBuffer(BatchLimits(1, 1 << 20, 0.01), 20_000)
    buffer.set_reading = flow.append
    assert buffer.reading
    for tag in range(1, 5):
        buffer.put([delivery(tag, b"x" * 9_000)])
    assert flow == [False]
    assert not buffer.reading
    for _ in range(4):
        await buffer.take()
    assert flow == [False, True]
    assert buffer.reading
    assert buffer.oldest is not None


async def test_what_comes_after_the_end_is_left_to_be_given_back(buffer: DeliveryBuffer) -> None:
    """A slow link still delivers the window after the cancel; it must not fill the memory."""
    buffer.put([delivery(1)])
    buffer.finish()
    buffer.put([delivery(2)])
    assert buffer.received == 1
    assert [found.tag for found in (await buffer.take()).deliveries] == [1]
    assert await buffer.take() is None


async def test_the_parts_of_a_batch_are_taken_before_what_came_later(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(tag) for tag in range(1, 5)], True)
    batch = await buffer.take()
    buffer.put([delivery(5)], True)
    buffer.divide(batch)
    assert buffer.held == 5
    assert [tags(await buffer.take()) for _ in range(3)] == [[1, 2], [3, 4], [5]]


async def test_what_is_set_aside_is_held_and_does_not_stop_the_others(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1)], True)
    buffer.postpone(await buffer.take(), 7)
    buffer.put([delivery(2)], True)
    assert tags(await buffer.take()) == [2]
    assert not buffer.nothing_left_before(2)
    assert (buffer.held, buffer.waiting, buffer.oldest is not None) == (2, 1, True)
    buffer.retry_first()
    assert tags(await buffer.take()) == [1]
    assert buffer.nothing_left_before(1)


async def test_nothing_else_is_taken_while_blocked(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1)], True)
    buffer.postpone(await buffer.take(), 7, block=True)
    buffer.put([delivery(2)], True)
    task = asyncio.create_task(buffer.take())
    await asyncio.sleep(0.02)
    assert not task.done()
    buffer.accepted(0)
    assert tags(await task) == [2]
    assert len(buffer.postponed) == 1
    buffer.accepted(7)
    assert tags(await buffer.take()) == [1]


async def test_what_is_set_aside_has_a_bound_after_which_nothing_else_is_taken() -> None:
    buffer = DeliveryBuffer(BatchLimits(1, 1 << 20, 0.01), 20_000)
    for tag in (1, 2, 3):
        buffer.put([delivery(tag, bytes(9_000))], True)
        buffer.postpone(await buffer.take(), 9_000)
        assert buffer.blocked is (tag == 3)


async def test_one_large_delivery_that_is_set_aside_blocks_nothing() -> None:
    buffer = DeliveryBuffer(BatchLimits(1, 1 << 20, 0.01), 20_000)
    flow: list[bool] = []
    buffer.set_reading = flow.append
    buffer.put([delivery(1, bytes(90_000))], True)
    buffer.postpone(await buffer.take(), 90_000)
    buffer.put([delivery(2)], True)
    assert tags(await buffer.take()) == [2]
    assert not buffer.blocked
    assert flow == [False, True]


async def test_at_the_end_what_was_set_aside_is_tried_once_more(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1)], True)
    buffer.postpone(await buffer.take(), 7, block=True)
    buffer.finish()
    buffer.postpone(await buffer.take(), 7, block=True)
    assert await buffer.take() is None
    assert buffer.held == 1


async def test_after_the_generation_has_ended_nothing_of_it_is_taken(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1), delivery(2)], True)
    batch = await buffer.take()
    buffer.discard()
    buffer.divide(batch)
    assert await buffer.take() is None
