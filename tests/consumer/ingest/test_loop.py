import asyncio
from collections.abc import Callable, Sequence

import pytest

from codec.event import Event
from consumer.errors import StorageFault
from consumer.ingest.batcher import BatchLimits
from consumer.ingest.delivery import describe
from consumer.ingest.loop import Batches, archive_batches
from tests.support.deliveries import delivery

LIMITS = BatchLimits(count=10, bytes=1 << 20, linger_s=0.01)


class Recorder:
    """An archive and a broker that write down what happens, in order."""

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
            raise StorageFault("disk_full", "full")
        self.steps.append("durable")

    async def ack(self, tag: int) -> bool:
        self.steps.append(f"ack {tag}")
        return self.acknowledge

    def committed(self, batch, receipt, acknowledged) -> None:
        self.steps.append(f"committed {acknowledged}")


def events(deliveries):
    return [describe(found) for found in deliveries]


@pytest.fixture
async def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def batches() -> Batches:
    return Batches(LIMITS, 1 << 30)


async def test_nothing_is_acknowledged_before_it_is_durable(recorder: Recorder, batches: Batches) -> None:
    batches.put([delivery(1), delivery(2)])
    batches.finish()
    await archive_batches(batches, events, recorder, recorder, recorder.committed)
    assert recorder.steps == ["append 2", "durable", "ack 2", "committed True"]


async def test_what_was_not_written_is_not_acknowledged(recorder: Recorder, batches: Batches) -> None:
    recorder.fail = True
    batches.put([delivery(1)])
    with pytest.raises(StorageFault):
        await archive_batches(batches, events, recorder, recorder, recorder.committed)
    assert recorder.steps == ["append 1"]


async def test_while_one_batch_commits_the_next_one_grows(recorder: Recorder, batches: Batches) -> None:
    recorder.go_on.clear()
    batches.put([delivery(1)])
    task = asyncio.create_task(archive_batches(batches, events, recorder, recorder, recorder.committed))
    while not recorder.steps:
        await asyncio.sleep(0.001)
    for tag in range(2, 8):
        batches.put([delivery(tag)])
    assert batches.held == 7
    recorder.go_on.set()
    batches.finish()
    await task
    assert [step for step in recorder.steps if step.startswith("ack")] == ["ack 1", "ack 7"]
    assert batches.held == 0


async def test_a_generation_that_ended_while_its_batch_was_committed_is_told_so(
    recorder: Recorder, batches: Batches
) -> None:
    recorder.acknowledge = False
    batches.put([delivery(1)])
    batches.finish()
    await archive_batches(batches, events, recorder, recorder, recorder.committed)
    assert recorder.steps[-1] == "committed False"


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
