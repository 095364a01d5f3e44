"""Deliveries as the library gives them, for versions of it that do not let us read its connections.

The library decodes the header, so these are encoded again: equal in meaning, and in bytes for all that it can represent.
"""

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from consumer.amqp.delivery import Delivery


def of_library(message: DeliveredMessage, arrived_us: int) -> Delivery:
    """A delivery of ours from one of the library's."""
    deliver = message.delivery
    assert isinstance(deliver, Basic.Deliver), "consumers get deliveries"
    return Delivery(
        int(deliver.delivery_tag or 0), bool(deliver.redelivered), deliver.exchange or "", deliver.routing_key or "",
        message.header.properties.marshal(), message.body, arrived_us,
    )  # fmt: skip
