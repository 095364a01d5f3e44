"""Find out that the queue is empty, and end the generation then. Used by `run --until-empty`.

Invariants: the queue counts as empty if the broker reports no ready message and at least one consumer. RabbitMQ also reports
no message while the leader of a quorum queue does not answer, but then it reports no consumer either, and this session has one.
The end comes after everything that was delivered is archived and acknowledged: the consumer is cancelled first, the broker's answer comes
after all deliveries, and then nothing may be held any more. What the disk does not accept is held, so it delays the end.
Messages that another consumer holds are not ready. They are neither counted nor awaited.
"""

import asyncio

from consumer.amqp.session import Session
from consumer.ingest.buffer import DeliveryBuffer

ASK_S = 0.25  # between two questions to the broker


class Emptiness:
    """Watches one session. `found`: the queue was empty, and everything that was delivered is archived and acknowledged."""

    def __init__(self, session: Session, buffer: DeliveryBuffer) -> None:
        self.found = False
        self._session, self._buffer = session, buffer

    async def run(self) -> None:
        """Ask until the queue is empty, then let the buffer end. Raises Retry or Fatal."""
        while True:
            if await self._queue_is_empty():
                break
            await asyncio.sleep(ASK_S)
        await self._session.finish()
        await self._buffer.until_nothing_held()
        self._buffer.finish()
        self.found = True

    async def _queue_is_empty(self) -> bool:
        counts = await self._session.counts()
        return counts.ready == 0 and counts.consumers > 0
