"""Deliveries are received, put into batches, divided, postponed and retried."""

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


async def test_a_batch_is_complete_when_no_more_deliveries_arrive(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1)])
    assert [found.tag for found in (await buffer.take() or []).deliveries] == [1]


async def test_take_waits_for_the_first_delivery(buffer: DeliveryBuffer) -> None:
    task = asyncio.create_task(buffer.take())
    await asyncio.sleep(0)
    buffer.put([delivery(1)])
    assert (await task) is not None


async def test_discard_returns_the_number_of_dropped_deliveries_and_ends_the_buffer(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1), delivery(2)])
    assert buffer.discard() == 2
    assert await buffer.take() is None


async def test_reading_stops_above_the_bound_on_held_bytes_and_continues_after_commits() -> None:
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


async def test_deliveries_after_the_end_are_ignored(buffer: DeliveryBuffer) -> None:
    """On a slow link the prefetch still arrives after the cancel. It must not fill the memory."""
    buffer.put([delivery(1)])
    buffer.finish()
    buffer.put([delivery(2)])
    assert buffer.received == 1
    assert [found.tag for found in (await buffer.take()).deliveries] == [1]
    assert await buffer.take() is None


async def test_the_parts_of_a_divided_batch_are_taken_before_newer_deliveries(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(tag) for tag in range(1, 5)], True)
    batch = await buffer.take()
    buffer.put([delivery(5)], True)
    buffer.divide(batch)
    assert buffer.held == 5
    assert [tags(await buffer.take()) for _ in range(3)] == [[1, 2], [3, 4], [5]]


async def test_a_postponed_batch_is_held_and_does_not_stop_the_others(buffer: DeliveryBuffer) -> None:
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


async def test_above_the_bound_on_postponed_bytes_nothing_else_is_taken() -> None:
    buffer = DeliveryBuffer(BatchLimits(1, 1 << 20, 0.01), 20_000)
    for tag in (1, 2, 3):
        buffer.put([delivery(tag, bytes(9_000))], True)
        buffer.postpone(await buffer.take(), 9_000)
        assert buffer.blocked is (tag == 3)


async def test_one_large_postponed_delivery_does_not_block_the_others() -> None:
    buffer = DeliveryBuffer(BatchLimits(1, 1 << 20, 0.01), 20_000)
    flow: list[bool] = []
    buffer.set_reading = flow.append
    buffer.put([delivery(1, bytes(90_000))], True)
    buffer.postpone(await buffer.take(), 90_000)
    buffer.put([delivery(2)], True)
    assert tags(await buffer.take()) == [2]
    assert not buffer.blocked
    assert flow == [False, True]


async def test_at_the_end_a_postponed_batch_is_taken_once_more(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1)], True)
    buffer.postpone(await buffer.take(), 7, block=True)
    buffer.finish()
    buffer.postpone(await buffer.take(), 7, block=True)
    assert await buffer.take() is None
    assert buffer.held == 1


async def test_after_the_end_of_the_generation_no_batch_is_taken(buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1), delivery(2)], True)
    batch = await buffer.take()
    buffer.discard()
    buffer.divide(batch)
    assert await buffer.take() is None
