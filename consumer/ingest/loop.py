"""The promise, on one screen: receive, append, acknowledge, in this order and no other."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from codec.event import Event
from consumer.amqp.delivery import Delivery
from consumer.errors import StorageFault
from consumer.ingest.batcher import Batch
from consumer.ingest.batches import Batches


class Receipt(Protocol):
    """The result of a durable append."""

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

    async def append(self, make_events: Callable[[], Sequence[Event]]) -> Receipt:
        """Return when the events would survive a power cut. Raises StorageFault, and then nothing counts."""


class Acknowledger(Protocol):
    """The side that delivers a message again until it is acknowledged."""

    async def ack(self, tag: int) -> bool:
        """Acknowledge everything up to `tag`. False: the channel has ended, and the messages come again."""

    async def ack_each(self, tags: Sequence[int]) -> bool:
        """Acknowledge these tags and no others."""


async def archive_batches(
    batches: Batches,
    events: Callable[[Sequence[Delivery]], Sequence[Event]],
    archive: Archive,
    broker: Acknowledger,
    on_commit: Callable[[Batch, Receipt, bool], None],
    on_fault: Callable[[Batch, StorageFault], Awaitable[None]],
) -> None:
    """Until the batches end. Nothing is acknowledged that is not durable: the append has returned before the ack is sent.

    While one batch commits the next one grows, so a slow disk makes larger batches and not more of them. A batch that the
    disk did not take is unacknowledged: `on_fault` puts it back into `batches`, in parts or to be tried later, or raises.
    An ack of everything up to a tag is sent only if no delivery before that tag is still to be archived.
    """
    while (batch := await batches.take()) is not None:
        try:
            receipt = await archive.append(partial(batch.events_by, events))
        except StorageFault as fault:
            await on_fault(batch, fault)
            continue
        if batches.nothing_left_before(batch.last_tag):
            acknowledged = await broker.ack(batch.last_tag)
        else:
            acknowledged = await broker.ack_each([delivery.tag for delivery in batch.deliveries])
        on_commit(batch, receipt, acknowledged)
