"""The promise on one screen: take a batch, make it durable, acknowledge it. Always in this order."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from codec.event import Event
from consumer.amqp.delivery import Delivery
from consumer.errors import StorageFault
from consumer.ingest.batcher import DeliveryBatch
from consumer.ingest.buffer import DeliveryBuffer
from consumer.ingest.interfaces import Acknowledger, AppendResult, DurableAppender


async def archive_batches(
    buffer: DeliveryBuffer,
    events_of: Callable[[Sequence[Delivery]], Sequence[Event]],
    archive: DurableAppender,
    broker: Acknowledger,
    on_commit: Callable[[DeliveryBatch, AppendResult, bool], None],
    on_fault: Callable[[DeliveryBatch, StorageFault], Awaitable[None]],
) -> None:
    """Archive and acknowledge until the buffer ends.

    No delivery is acknowledged before it is durable: `append` returns first, then the ack is sent.
    One batch commits at a time. The next batch grows at the same time, so a slow disk makes batches larger.
    A batch that the disk did not accept stays unacknowledged. `on_fault` puts it back into the buffer, or raises.
    An ack up to a tag is sent only if no earlier delivery is still to be archived.
    """
    while (batch := await buffer.take()) is not None:
        try:
            result = await archive.append(partial(batch.events_by, events_of))
        except StorageFault as fault:
            await on_fault(batch, fault)
            continue
        if buffer.nothing_left_before(batch.last_tag):
            acknowledged = await broker.ack(batch.last_tag)
        else:
            acknowledged = await broker.ack_each([delivery.tag for delivery in batch.deliveries])
        on_commit(batch, result, acknowledged)
