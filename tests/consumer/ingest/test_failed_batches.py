"""Batches are divided, postponed, returned and retried. The disk is a fake."""

import asyncio
from typing import Any

import pytest

from codec.amqp import Field, encode_header
from consumer import log
from consumer.amqp.delivery import Delivery
from consumer.errors import StorageFault, StorageReason
from consumer.ingest.batcher import BatchLimits, DeliveryBatch
from consumer.ingest.buffer import DeliveryBuffer
from consumer.ingest.failed_batches import FAULTS_MAX, FailedBatches
from tests.support.deliveries import delivery

FAULT = StorageFault(StorageReason.DISK_FULL, "full", "free space", 900)


class FakeDisk:
    """Accepts writes of up to `takes` bytes; with -1 it accepts none."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.probed: list[int] = []

    async def probe(self, size: int = 0) -> None:
        self.probed.append(size)
        if size > self.takes:
            raise StorageFault(StorageReason.DISK_FULL, "full", "free space", size)


def returned(tag: int, count: int) -> Delivery:
    headers = (("x-delivery-count", Field("l", count)),)
    return delivery(tag, header=encode_header({"headers": headers}), redelivered=True)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    lines: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: lines.append((event.name, fields)))
    return lines


def failing(disk: FakeDisk, limit: int | None = 20) -> tuple[FailedBatches, DeliveryBuffer]:
    buffer = DeliveryBuffer(BatchLimits(10, 1 << 20, 0.001), 1 << 20)
    return FailedBatches(buffer, disk, "q", limit, (0.001, 0.004)), buffer


async def failed(buffer: DeliveryBuffer, *deliveries: Delivery) -> DeliveryBatch:
    buffer.put(list(deliveries), True)
    batch = await buffer.take()
    assert batch is not None
    return batch


async def test_if_the_disk_accepts_small_writes_the_batch_is_divided(logged: list) -> None:
    batches, buffer = failing(FakeDisk(100))
    await batches.on_fault(await failed(buffer, delivery(1), delivery(2)), FAULT)
    assert (len(buffer.postponed), buffer.held, logged) == (0, 2, [])


async def test_if_the_disk_accepts_nothing_everything_is_returned(logged: list) -> None:
    batches, buffer = failing(FakeDisk(-1))
    with pytest.raises(StorageFault):
        await batches.on_fault(await failed(buffer, delivery(1), returned(2, 9)), FAULT)
    assert batches.bytes_to_probe == 0


@pytest.mark.parametrize(("limit", "count"), [(20, 10), (3, 1), (1, 0), (0, 0)])
async def test_near_the_delivery_limit_nothing_is_returned(logged: list, limit: int, count: int) -> None:
    batches, buffer = failing(FakeDisk(-1), limit)
    await batches.on_fault(await failed(buffer, delivery(1), returned(2, count)), FAULT)
    assert [event for event, _ in logged] == ["withheld", "paused"]
    assert (logged[0][1]["count"], logged[0][1]["limit"], logged[1][1]["returned"]) == (count, limit, 0)
    assert (buffer.blocked, batches.bytes_to_probe) == (True, 900)


async def test_without_a_delivery_limit_everything_is_returned(logged: list) -> None:
    batches, buffer = failing(FakeDisk(-1), None)
    with pytest.raises(StorageFault):
        await batches.on_fault(await failed(buffer, returned(1, 1000)), FAULT)


async def test_after_several_failed_deliveries_in_a_row_ingest_pauses(logged: list) -> None:
    batches, buffer = failing(FakeDisk(100))
    for tag in range(1, FAULTS_MAX + 1):
        assert not buffer.blocked
        await batches.on_fault(await failed(buffer, delivery(tag)), FAULT)
    assert buffer.blocked
    assert logged[-1][0] == "paused"


async def test_a_postponed_batch_is_probed_with_its_size_and_after_growing_waits(logged: list) -> None:
    disk = FakeDisk(100)
    batches, buffer = failing(disk)
    await batches.on_fault(await failed(buffer, delivery(1)), FAULT)
    task = asyncio.create_task(batches.run())
    waits: list[float] = []
    while len(disk.probed) < 6:
        waits.append(batches._wait_s)
        await asyncio.sleep(0)
    disk.takes = 900
    batch = await buffer.take()
    assert batch is not None
    batches.on_commit(batch)
    task.cancel()
    assert sorted(set(waits)) == [0.001, 0.002, 0.004]
    assert waits == sorted(waits)
    assert disk.probed == [0, *[900] * (len(disk.probed) - 1)]
    names = [event for event, _ in logged]
    assert (names[0], set(names[1:-1]), names[-1]) == ("set_aside", {"still_aside"}, "taken_back")
    assert (len(buffer.postponed), batches.bytes_to_probe) == (0, 0)


async def test_after_one_postponed_batch_is_committed_everything_continues(logged: list) -> None:
    disk = FakeDisk(-1)
    batches, buffer = failing(disk, 0)
    await batches.on_fault(await failed(buffer, delivery(1)), FAULT)
    buffer.put([delivery(2)], True)
    task = asyncio.create_task(batches.run())
    while len(disk.probed) < 3:
        await asyncio.sleep(0.001)
    disk.takes = 900
    batch = await buffer.take()
    assert batch is not None
    batches.on_commit(batch)
    other = await buffer.take()
    task.cancel()
    assert (batch.last_tag, other.last_tag if other else 0, buffer.blocked) == (1, 2, False)
    assert logged[-1][0] == "resumed"


class WaitingDisk(FakeDisk):
    """Accepts everything. A probe returns when `answer` is set."""

    def __init__(self) -> None:
        super().__init__(1 << 30)
        self.answer = asyncio.Event()

    async def probe(self, size: int = 0) -> None:
        await super().probe(size)
        if size:
            await self.answer.wait()


@pytest.mark.parametrize("end", [False, True], ids=["a commit", "the end"])
async def test_during_a_probe_the_postponed_batch_may_be_removed(logged: list, end: bool) -> None:
    """On a slow disk the first postponed message is committed during the probe for the second one."""
    disk = WaitingDisk()
    batches, buffer = failing(disk)
    for tag in (1, 2):
        await batches.on_fault(await failed(buffer, delivery(tag)), FAULT)
    task = asyncio.create_task(batches.run())
    disk.answer.set()
    first = await buffer.take()
    assert first is not None
    disk.answer.clear()
    while len(disk.probed) < 4:
        await asyncio.sleep(0.001)
    if end:
        buffer.finish()
    else:
        batches.on_commit(first)
    disk.answer.set()
    second = await buffer.take()
    assert second is not None
    while not task.done() and batches._any_postponed.is_set():
        await asyncio.sleep(0.001)
    assert (second.last_tag, task.done()) == (2, False)
    task.cancel()
