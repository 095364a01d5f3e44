"""When a queue counts as empty, with a fake session. `tests/integration/test_until_empty.py` has the real broker."""

import asyncio
from collections.abc import Iterable

import pytest

from consumer.amqp.session import QueueCounts
from consumer.ingest import emptiness
from consumer.ingest.batcher import BatchLimits
from consumer.ingest.buffer import DeliveryBuffer
from consumer.ingest.emptiness import Emptiness
from tests.support.deliveries import delivery

pytestmark = pytest.mark.usefixtures("fast")


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emptiness, "ASK_S", 0.0)


class FakeSession:
    def __init__(self, buffer: DeliveryBuffer, answers: Iterable[QueueCounts]) -> None:
        self.answers = iter(answers)
        self.asked = 0
        self.late: list[int] = []  # tags of deliveries that arrive before the answer to the cancel
        self._buffer = buffer

    async def counts(self) -> QueueCounts:
        self.asked += 1
        return next(self.answers)

    async def finish(self) -> None:
        self._buffer.put([delivery(tag) for tag in self.late])


@pytest.fixture
async def buffer() -> DeliveryBuffer:
    return DeliveryBuffer(BatchLimits(10, 1 << 20, 0.0), 1 << 20)


async def test_a_queue_with_ready_messages_is_asked_again(buffer: DeliveryBuffer) -> None:
    session = FakeSession(buffer, [QueueCounts(3, 1), QueueCounts(1, 1), QueueCounts(0, 1)])
    watched = Emptiness(session, buffer)
    await watched.run()
    assert (session.asked, watched.found, buffer.finished) == (3, True, True)


async def test_no_message_and_no_consumer_means_that_the_queue_did_not_answer(buffer: DeliveryBuffer) -> None:
    session = FakeSession(buffer, [QueueCounts(0, 0), QueueCounts(0, 0), QueueCounts(0, 2)])
    await Emptiness(session, buffer).run()
    assert session.asked == 3


async def test_what_was_delivered_before_the_end_of_the_consumer_is_committed_first(buffer: DeliveryBuffer) -> None:
    session = FakeSession(buffer, [QueueCounts(0, 1)])
    session.late = [1, 2]
    watched = Emptiness(session, buffer)
    running = asyncio.create_task(watched.run())
    batch = await asyncio.wait_for(buffer.take(), 10)
    assert batch is not None
    assert [found.tag for found in batch.deliveries] == [1, 2]
    assert (buffer.finished, watched.found) == (False, False)
    assert await asyncio.wait_for(buffer.take(), 10) is None  # the batch is committed, and the buffer ends
    await running
    assert watched.found
