"""What is declared and consumed at the broker. Pure: values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from yarl import URL

from consumer.topic import Topic

# RabbitMQ 4 sets 20 by default, and a policy may set less. The smallest limit with which a message may be returned once.
ASSUMED_DELIVERY_LIMIT = 3


@dataclass(frozen=True, slots=True)
class Topology:
    """Where deliveries come from.

    `declare`: `queue` makes the queue and its bindings if they are missing, `all` the exchange too, `none` nothing.
    """

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
    declare: Literal["queue", "all", "none"] = "queue"
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

        AMQP tells a client neither the arguments of a queue nor its policies. Without an argument of ours, a small limit is
        assumed. A message of a classic queue is never counted.
        """
        limit = self.all_queue_arguments().get("x-delivery-limit", ASSUMED_DELIVERY_LIMIT)
        return limit if isinstance(limit, int) and limit >= 0 else None

    @property
    def bindings(self) -> tuple[str, ...]:
        """The keys with which we bind the queue. AMQP does not tell a client the bindings that others made."""
        return self.binding_keys if self.exchange and self.declare != "none" else ()

    def explains(self, exchange: str, routing_key: str) -> bool:
        """Whether a binding of ours may have brought such a message; also True if we made none."""
        if not self.bindings:
            return True
        if exchange != self.exchange:
            return False
        if self.exchange_type == "direct":
            return routing_key in self.bindings
        return self.exchange_type != "topic" or any(matches(key, routing_key) for key in self.bindings)


@lru_cache(1000)  # bindings are few, and routing keys come again and again
def matches(binding_key: str, routing_key: str) -> bool:
    """Whether a topic exchange routes the key by the binding."""
    return binding_key == "#" or Topic.literally(binding_key).matches(routing_key)


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    parsed = URL(url)
    shown = parsed.with_password("***") if parsed.password else parsed
    return str(shown.with_query(None))


def user_of(url: str) -> str:
    """The user that the URL names."""
    return URL(url).user or "guest"
