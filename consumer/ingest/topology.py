"""What is declared and consumed at the broker. Pure: values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

DELIVERY_LIMIT = 20  # of quorum queues, by default, from RabbitMQ 4.0 on


@dataclass(frozen=True, slots=True)
class Topology:
    """Where deliveries come from. With `declare`, exchange, queue and bindings are made if they are not there."""

    url: str
    queue: str
    queue_type: str = "quorum"
    queue_arguments: Mapping[str, Any] = field(default_factory=dict)
    exchange: str = ""
    exchange_type: str = "topic"
    exchange_arguments: Mapping[str, Any] = field(default_factory=dict)
    binding_keys: tuple[str, ...] = ("#",)
    binding_arguments: Mapping[str, Any] = field(default_factory=dict)
    consumer_arguments: Mapping[str, Any] = field(default_factory=dict)
    declare: bool = True
    name: str = "deedbox"
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    def all_queue_arguments(self) -> dict[str, Any]:
        """The arguments of the queue, its type included. A classic queue is declared without one, as always."""
        kind: dict[str, Any] = {} if self.queue_type == "classic" else {"x-queue-type": self.queue_type}
        return kind | dict(self.queue_arguments)

    @property
    def delivery_limit(self) -> int | None:
        """How often the queue lets a message come back before it drops it; None if it has no limit.

        AMQP does not tell the arguments of a queue, nor its policies: without an argument of ours, a quorum queue is
        taken to have the limit of 20 that RabbitMQ 4 sets. A message of a classic queue is never counted.
        """
        limit = self.all_queue_arguments().get("x-delivery-limit", DELIVERY_LIMIT)
        return limit if isinstance(limit, int) and limit >= 0 else None


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    parsed = URL(url)
    shown = parsed.with_password("***") if parsed.password else parsed
    return str(shown.with_query(None))


def user_of(url: str) -> str:
    """The user that the URL names."""
    return URL(url).user or "guest"
