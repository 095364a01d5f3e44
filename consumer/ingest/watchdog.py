"""Notice that messages wait in the queue and none is delivered.

Invariant: the first stall ends the session, so that a new connection is tried. A second stall in a row, without a delivery
between the two, ends the service.
"""

import asyncio

from consumer import log
from consumer.amqp.session import EndCause, Session
from consumer.errors import Exit, Fatal
from consumer.ingest import log_events
from consumer.ingest.buffer import DeliveryBuffer
from consumer.ingest.counters import Counters

WATCH_S = 1.0


class Watchdog:
    """Watches one session.

    `idle_s_max`: after this time without a delivery the queue is asked. `stalled_before`: the last session ended by a stall.
    """

    def __init__(
        self, session: Session, buffer: DeliveryBuffer, counters: Counters, idle_s_max: float, stalled_before: bool
    ) -> None:
        self._session, self._buffer, self._counters = session, buffer, counters
        self._idle_s_max, self._stalled_before = idle_s_max, stalled_before

    async def run(self) -> None:
        """Watch until cancelled. Raises Fatal for a second stall, and Retry if the broker does not answer."""
        loop = asyncio.get_running_loop()
        quiet_since = loop.time()
        while True:
            await asyncio.sleep(WATCH_S)
            if self._buffer.waiting or self.prefetch_is_postponed():
                quiet_since = loop.time()
                if not self._buffer.reading:  # then heartbeats of the broker are not read either
                    self._session.reader.keepalive()
            quiet_since = max(quiet_since, self._session.reader.last_content)
            idle_s = loop.time() - quiet_since
            if idle_s < self._idle_s_max:
                continue
            quiet_since = loop.time()
            if messages := await self._session.messages_ready():
                self._on_stall(messages, idle_s)
            elif not (self._counters.batches or self._buffer.received or self._counters.silence_reported):
                self._on_silence(idle_s)

    def prefetch_is_postponed(self) -> bool:
        """Return whether the broker delivers nothing because the disk does not accept the held deliveries."""
        return self._buffer.blocked or len(self._buffer.postponed) >= self._session.prefetch

    def _on_stall(self, messages: int, idle_s: float) -> None:
        queue = self._session.queue
        log.emit(log_events.STALLED, queue=queue, messages=messages, idle_s=round(idle_s, 1))
        if self._stalled_before and not self._buffer.received:
            what = f"queue {queue!r}: no message is delivered, although the queue has {messages}"
            raise Fatal(Exit.STALLED, what, "restart; is another consumer exclusive, or single and active?")
        self._session.end(EndCause.STALLED, "stalled")

    def _on_silence(self, idle_s: float) -> None:
        """Report once that nothing has arrived since the start. A misspelled name looks like a quiet queue."""
        self._counters.silence_reported = True
        topology = self._session.topology
        log.emit(
            log_events.NOTHING_DELIVERED, queue=self._session.queue, exchange=topology.exchange,
            bindings=list(topology.bindings), waited_s=round(idle_s, 1),
        )  # fmt: skip
