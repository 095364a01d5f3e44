"""What is divided, held, returned and tried again, over a disk that is played."""

import asyncio
from typing import Any

import pytest

from codec.amqp import Field, encode_header
from consumer import log
from consumer.amqp.delivery import Delivery
from consumer.errors import StorageFault
from consumer.ingest.batcher import Batch, BatchLimits
from consumer.ingest.batches import Batches
from consumer.ingest.holding import FAULTS_MAX, Holding
from tests.support.deliveries import delivery

FAULT = StorageFault("disk_full", "full", "free space", 900)


class PlayedDisk:
    """Takes writes of up to `takes` bytes; -1: not even a small one."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.probed: list[int] = []

    async def probe(self, size: int = 0) -> None:
        self.probed.append(size)
        if size > self.takes:
            raise StorageFault("disk_full", "full", "free space", size)


def returned(tag: int, count: int) -> Delivery:
    headers = (("x-delivery-count", Field("l", count)),)
    return delivery(tag, header=encode_header({"headers": headers}), redelivered=True)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    lines: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: lines.append((event.name, fields)))
    return lines


def holding(disk: PlayedDisk, limit: int | None = 20) -> tuple[Holding, Batches]:
    batches = Batches(BatchLimits(10, 1 << 20, 0.001), 1 << 20)
    return Holding(batches, disk, "q", limit, (0.001, 0.004)), batches


async def failed(batches: Batches, *deliveries: Delivery) -> Batch:
    batches.put(list(deliveries), True)
    batch = await batches.take()
    assert batch is not None
    return batch


async def test_a_disk_that_takes_less_gets_the_batch_in_parts(said: list) -> None:
    hold, batches = holding(PlayedDisk(100))
    await hold.on_fault(await failed(batches, delivery(1), delivery(2)), FAULT)
    assert (len(batches.aside), batches.held, said) == (0, 2, [])


async def test_a_disk_that_takes_nothing_has_everything_returned(said: list) -> None:
    hold, batches = holding(PlayedDisk(-1))
    with pytest.raises(StorageFault):
        await hold.on_fault(await failed(batches, delivery(1), returned(2, 9)), FAULT)
    assert hold.unproven == 0


@pytest.mark.parametrize(("limit", "count"), [(20, 10), (3, 1), (1, 0), (0, 0)])
async def test_near_the_limit_nothing_is_returned(said: list, limit: int, count: int) -> None:
    hold, batches = holding(PlayedDisk(-1), limit)
    await hold.on_fault(await failed(batches, delivery(1), returned(2, count)), FAULT)
    assert [event for event, _ in said] == ["withheld", "paused"]
    assert (said[0][1]["count"], said[0][1]["limit"], said[1][1]["returned"]) == (count, limit, 0)
    assert (batches.blocked, hold.unproven) == (True, 900)


async def test_without_a_limit_everything_may_be_returned(said: list) -> None:
    hold, batches = holding(PlayedDisk(-1), None)
    with pytest.raises(StorageFault):
        await hold.on_fault(await failed(batches, returned(1, 1000)), FAULT)


async def test_deliveries_that_fail_one_after_the_other_are_no_matter_of_size(said: list) -> None:
    hold, batches = holding(PlayedDisk(100))
    for tag in range(1, FAULTS_MAX + 1):
        assert not batches.blocked
        await hold.on_fault(await failed(batches, delivery(tag)), FAULT)
    assert batches.blocked
    assert said[-1][0] == "paused"


async def test_what_is_held_is_tried_with_its_size_and_after_waits_that_grow(said: list) -> None:
    disk = PlayedDisk(100)
    hold, batches = holding(disk)
    await hold.on_fault(await failed(batches, delivery(1)), FAULT)
    task = asyncio.create_task(hold.run())
    waits: list[float] = []
    while len(disk.probed) < 6:
        waits.append(hold._wait_s)
        await asyncio.sleep(0)
    disk.takes = 900
    batch = await batches.take()
    assert batch is not None
    hold.on_commit(batch)
    task.cancel()
    assert sorted(set(waits)) == [0.001, 0.002, 0.004]
    assert waits == sorted(waits)
    assert disk.probed == [0, *[900] * (len(disk.probed) - 1)]
    names = [event for event, _ in said]
    assert (names[0], set(names[1:-1]), names[-1]) == ("set_aside", {"still_aside"}, "taken_back")
    assert (len(batches.aside), hold.unproven) == (0, 0)


async def test_one_commit_of_what_was_held_lets_everything_go_on(said: list) -> None:
    disk = PlayedDisk(-1)
    hold, batches = holding(disk, 0)
    await hold.on_fault(await failed(batches, delivery(1)), FAULT)
    batches.put([delivery(2)], True)
    task = asyncio.create_task(hold.run())
    while len(disk.probed) < 3:
        await asyncio.sleep(0.001)
    disk.takes = 900
    batch = await batches.take()
    assert batch is not None
    hold.on_commit(batch)
    other = await batches.take()
    task.cancel()
    assert (batch.last_tag, other.last_tag if other else 0, batches.blocked) == (1, 2, False)
    assert said[-1][0] == "resumed"


class WaitingDisk(PlayedDisk):
    """Takes everything; a probe that has begun ends when `answer` is set."""

    def __init__(self) -> None:
        super().__init__(1 << 30)
        self.answer = asyncio.Event()

    async def probe(self, size: int = 0) -> None:
        await super().probe(size)
        if size:
            await self.answer.wait()


@pytest.mark.parametrize("end", [False, True], ids=["a commit", "the end"])
async def test_a_probe_survives_that_nothing_is_held_any_more_when_it_returns(said: list, end: bool) -> None:
    """On a slow disk the commit of the first message that was held comes during the probe for the second one."""
    disk = WaitingDisk()
    hold, batches = holding(disk)
    for tag in (1, 2):
        await hold.on_fault(await failed(batches, delivery(tag)), FAULT)
    task = asyncio.create_task(hold.run())
    disk.answer.set()
    first = await batches.take()
    assert first is not None
    disk.answer.clear()
    while len(disk.probed) < 4:
        await asyncio.sleep(0.001)
    if end:
        batches.finish()
    else:
        hold.on_commit(first)
    disk.answer.set()
    second = await batches.take()
    assert second is not None
    while not task.done() and hold._holds.is_set():
        await asyncio.sleep(0.001)
    assert (second.last_tag, task.done()) == (2, False)
    task.cancel()
