"""The exchange and queue to declare and consume at the broker. Values only; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from yarl import URL

from consumer.topic import Topic

# RabbitMQ 4 sets 20 by default, and a policy may set less. 3 is the smallest limit that allows returning a message once.
ASSUMED_DELIVERY_LIMIT = 3


class Declare(StrEnum):
    """The exchange, queue and binding that are created at the broker if they do not exist."""

    QUEUE = "queue"  # the queue and its bindings
    ALL = "all"  # the exchange, the queue and its bindings
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Topology:
    """The broker, the queue to consume, and the objects to declare. `name`: the name of the connection at the broker."""

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
    declare: Declare = Declare.QUEUE
    name: str = "deedbox"
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    def all_queue_arguments(self) -> dict[str, Any]:
        """Return the arguments of the queue, including its type. A classic queue is declared without a type."""
        kind: dict[str, Any] = {} if self.queue_type == "classic" else {"x-queue-type": self.queue_type}
        return kind | dict(self.queue_arguments)

    @property
    def delivery_limit(self) -> int | None:
        """How often a message may be returned before the queue drops it; None if there is no limit.

        A client cannot read the arguments or policies of a queue. If the settings contain no limit, a small one is assumed.
        Classic queues do not count returns.
        """
        limit = self.all_queue_arguments().get("x-delivery-limit", ASSUMED_DELIVERY_LIMIT)
        return limit if isinstance(limit, int) and limit >= 0 else None

    @property
    def bindings(self) -> tuple[str, ...]:
        """The keys with which Deedbox binds the queue. A client cannot read bindings that others made."""
        return self.binding_keys if self.exchange and self.declare != Declare.NONE else ()

    def explains(self, exchange: str, routing_key: str) -> bool:
        """Return whether one of `bindings` can have routed the message; also True if there are none."""
        if not self.bindings:
            return True
        if exchange != self.exchange:
            return False
        if self.exchange_type == "direct":
            return routing_key in self.bindings
        return self.exchange_type != "topic" or any(matches(key, routing_key) for key in self.bindings)


@lru_cache(1000)  # there are few bindings, and routing keys repeat
def matches(binding_key: str, routing_key: str) -> bool:
    """Return whether a topic exchange routes the key by the binding."""
    return binding_key == "#" or Topic.literally(binding_key).matches(routing_key)


def without_password(url: str) -> str:
    """Return the URL without its password and query, for logs and errors."""
    parsed = URL(url)
    shown = parsed.with_password("***") if parsed.password else parsed
    return str(shown.with_query(None))


def user_of(url: str) -> str:
    """Return the user of the URL, by default `guest`."""
    return URL(url).user or "guest"
