import asyncio
from collections.abc import Callable, Sequence

import pytest

from codec.event import Event
from consumer.errors import StorageFault, StorageReason
from consumer.ingest.batcher import BatchLimits, DeliveryBatch
from consumer.ingest.buffer import DeliveryBuffer
from consumer.ingest.describe import describe
from consumer.ingest.loop import archive_batches
from tests.support.deliveries import delivery

LIMITS = BatchLimits(count=10, bytes=1 << 20, linger_s=0.01)


class Recorder:
    """A fake archive and broker. It records the calls in order."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.fail = False
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.acknowledge = True

    async def append(self, make_events: Callable[[], Sequence[Event]]) -> None:
        events = make_events()
        self.steps.append(f"append {len(events)}")
        await self.go_on.wait()
        if self.fail:
            raise StorageFault(StorageReason.DISK_FULL, "full")
        self.steps.append("durable")

    async def ack(self, tag: int) -> bool:
        self.steps.append(f"ack {tag}")
        return self.acknowledge

    async def ack_each(self, tags: Sequence[int]) -> bool:
        self.steps.append(f"ack each {list(tags)}")
        return self.acknowledge

    async def fault(self, batch: DeliveryBatch, fault: StorageFault) -> None:
        raise fault

    def committed(self, batch, receipt, acknowledged) -> None:
        self.steps.append(f"committed {acknowledged}")


def events(deliveries):
    return [describe(found) for found in deliveries]


@pytest.fixture
async def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def buffer() -> DeliveryBuffer:
    return DeliveryBuffer(LIMITS, 1 << 30)


async def test_nothing_is_acknowledged_before_it_is_durable(recorder: Recorder, buffer: DeliveryBuffer) -> None:
    buffer.put([delivery(1), delivery(2)])
    buffer.finish()
    await archive_batches(buffer, events, recorder, recorder, recorder.committed, recorder.fault)
    assert recorder.steps == ["append 2", "durable", "ack 2", "committed True"]


async def test_a_failed_batch_is_not_acknowledged(recorder: Recorder, buffer: DeliveryBuffer) -> None:
    recorder.fail = True
    buffer.put([delivery(1)])
    with pytest.raises(StorageFault):
        await archive_batches(buffer, events, recorder, recorder, recorder.committed, recorder.fault)
    assert recorder.steps == ["append 1"]


async def test_while_one_batch_commits_the_next_one_grows(recorder: Recorder, buffer: DeliveryBuffer) -> None:
    recorder.go_on.clear()
    buffer.put([delivery(1)])
    task = asyncio.create_task(archive_batches(buffer, events, recorder, recorder, recorder.committed, recorder.fault))
    while not recorder.steps:
        await asyncio.sleep(0.001)
    for tag in range(2, 8):
        buffer.put([delivery(tag)])
    assert buffer.held == 7
    recorder.go_on.set()
    buffer.finish()
    await task
    assert [step for step in recorder.steps if step.startswith("ack")] == ["ack 1", "ack 7"]
    assert buffer.held == 0


async def test_the_commit_of_a_dead_session_is_reported_as_unacknowledged(
    recorder: Recorder, buffer: DeliveryBuffer
) -> None:
    recorder.acknowledge = False
    buffer.put([delivery(1)])
    buffer.finish()
    await archive_batches(buffer, events, recorder, recorder, recorder.committed, recorder.fault)
    assert recorder.steps[-1] == "committed False"


async def test_a_postponed_delivery_is_not_acknowledged_with_later_ones(
    recorder: Recorder, buffer: DeliveryBuffer
) -> None:
    """An ack up to a later tag would acknowledge it, and it is not durable."""

    async def append(make_events: Callable[[], Sequence[Event]]) -> None:
        bodies = [event.body for event in make_events()]
        if b"large" in bodies:
            raise StorageFault(StorageReason.DISK_FULL, "full")
        recorder.steps.append(f"append {len(bodies)}")

    async def fault(batch: DeliveryBatch, fault: StorageFault) -> None:
        if len(batch.deliveries) > 1:
            buffer.divide(batch)
        else:
            buffer.postpone(batch, 5)

    recorder.append = append  # type: ignore[method-assign]
    recorder.fault = fault  # type: ignore[method-assign]
    buffer.put([delivery(1), delivery(2), delivery(3, b"large"), delivery(4), delivery(5)])
    task = asyncio.create_task(archive_batches(buffer, events, recorder, recorder, recorder.committed, recorder.fault))
    while sum(step.startswith("committed") for step in recorder.steps) < 2:
        await asyncio.sleep(0.001)
    assert [step for step in recorder.steps if step.startswith("ack")] == ["ack 2", "ack each [4, 5]"]
    assert [entry.batch.deliveries[0].tag for entry in buffer.postponed] == [3]
    recorder.append = Recorder.append.__get__(recorder)  # type: ignore[method-assign]
    buffer.finish()
    await task
    assert [step for step in recorder.steps if step.startswith("ack")][-1] == "ack 3"
