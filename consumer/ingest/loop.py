"""The promise, on one screen: receive, append, acknowledge, in this order and no other."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from codec.event import Event
from consumer.ingest.batcher import Batch, Batcher, BatchLimits
from consumer.ingest.delivery import Delivery


class Receipt(Protocol):
    """What is told of a durable batch."""

    @property
    def events(self) -> int:
        """How many."""

    @property
    def bytes(self) -> int:
        """How many, in the archive."""

    @property
    def sync_s(self) -> float:
        """How long the disk took."""


class Archive(Protocol):
    """Where batches become durable."""

    async def append(self, make_events: Callable[[], Sequence[Event]]) -> Receipt | None:
        """Return when the events would survive a power cut. Raises StorageFault, and then nothing counts."""


class Acknowledger(Protocol):
    """Who is told that messages need not come again."""

    async def ack(self, tag: int) -> bool:
        """Acknowledge everything up to `tag`."""


async def archive_batches(
    batches: "Batches",
    events: Callable[[Sequence[Delivery]], Sequence[Event]],
    archive: Archive,
    broker: Acknowledger,
    on_commit: Callable[[Batch, Receipt | None, bool], None],
) -> None:
    """Until the batches end. Nothing is acknowledged that is not durable: the append has returned before the ack is sent.

    While one batch commits the next one grows, so a slow disk makes larger batches and not more of them. Whatever is
    raised leaves the batch unacknowledged, and the broker delivers it again.
    """
    while (batch := await batches.take()) is not None:
        receipt = await archive.append(partial(events, batch.deliveries))
        acknowledged = await broker.ack(batch.last_tag)
        on_commit(batch, receipt, acknowledged)


class Batches:
    """The async face of the batcher, for one generation of deliveries."""

    def __init__(self, limits: BatchLimits, held_bytes_max: int) -> None:
        self.flow: Callable[[bool], None] = lambda _: None  # False: stop reading from the socket; True: go on
        self.received = 0
        self._batcher = Batcher(limits)
        self._held_bytes_max = held_bytes_max
        self._flowing = True
        self._wake = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._finished = False
        self.taken: Batch | None = None

    @property
    def held(self) -> int:
        """Deliveries received and not committed."""
        return self._batcher.count + (len(self.taken.deliveries) if self.taken else 0)

    @property
    def held_bytes(self) -> int:
        """Bytes of them."""
        return self._batcher.size + (self.taken.size if self.taken else 0)

    @property
    def oldest(self) -> float | None:
        """Loop time at which the oldest of them came."""
        return self.taken.since if self.taken else self._batcher.oldest

    def put(self, deliveries: list[Delivery], drained: bool = False) -> None:
        """The sink of a session; `drained`: no more was waiting. What comes after the end is left unacknowledged, and given back with the rest."""
        if self._finished:
            return
        self.received += len(deliveries)
        self._batcher.add(deliveries, self._clock(), drained)
        self._wake.set()
        if self._flowing and self.held_bytes > self._held_bytes_max:
            self._flowing = False
            self.flow(False)

    async def take(self) -> Batch | None:
        """The next batch, when it is due; None after the end. To ask again says that the last one is committed."""
        self.taken = None
        if not self._flowing and self.held_bytes <= self._held_bytes_max // 2:
            self._flowing = True
            self.flow(True)
        while not self._batcher.count or not self._due():
            if self._finished and not self._batcher.count:
                return None
            await self._wait()
        self.taken = self._batcher.take()
        return self.taken

    def _due(self) -> bool:
        due_at = self._batcher.due_at()
        return due_at is not None and (self._finished or due_at <= self._clock())

    async def _wait(self) -> None:
        """Until something was put, or until what is there is due."""
        self._wake.clear()
        due_at = self._batcher.due_at()
        timer = None if due_at is None else asyncio.get_running_loop().call_at(due_at, self._wake.set)
        await self._wake.wait()
        if timer:
            timer.cancel()

    def keep_alive(self, beat: Callable[[], None]) -> None:
        """While nothing is read from the socket, no heartbeat of the broker is either."""
        if not self._flowing:
            beat()

    def finish(self) -> None:
        """No more will be put; what is there can still be taken."""
        self._finished = True
        self._wake.set()

    def discard(self) -> int:
        """The generation has ended: what was not taken comes again. Says how many deliveries that was."""
        forgotten = self._batcher.clear()
        self.finish()
        return forgotten
