"""Messages that die in a real broker, in every way, and come into one dead-letter queue."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from codec.amqp import Field, Table, encode_header, encode_table
from tests.support.dead_letters import text
from tests.support.wire import WirePublisher

WAIT_S_MAX = 30.0
HEADERS: Table = (("a", text("first")), ("deep", Field("F", (("list", Field("A", (Field("I", 1), Field("t", True)))),))),
                  ("z", Field("V", None)))  # fmt: skip  # in the order of their names, as RabbitMQ returns them


class Sent(NamedTuple):
    """A message as it was published. `queue` and `reason`: of its first death. `expected`: the header that a re-injection must have."""

    queue: str
    reason: str
    key: str
    expected: bytes
    body: bytes


@dataclass
class Cemetery:
    """An exchange, queues bound to it, and the queue into which their dead letters come: `exchange`, and `exchange`-dead."""

    publisher: WirePublisher
    exchange: str
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dead = f"{self.exchange}-dead"
        self.publisher.declare_exchange(self.exchange)
        self.publisher.declare_exchange(f"{self.exchange}-dlx", "fanout")
        self.publisher.declare(self.dead, arguments(**{"x-queue-type": "quorum"}))
        self.publisher.bind(self.dead, f"{self.exchange}-dlx", b"")

    def queue(self, name: str, dlx: str | None = None, **options: str | int) -> str:
        """A queue that is bound with its own name."""
        queue = f"{self.exchange}-{name}"
        self.publisher.declare(queue, arguments(**{"x-dead-letter-exchange": dlx or f"{self.exchange}-dlx", **options}))
        self.publisher.bind(queue, self.exchange, queue.encode())
        return queue

    def publish(
        self,
        queue: str,
        reason: str,
        headers: Table = (),
        expected: dict[str, object] | None = None,
        **properties: object,
    ) -> None:
        """Publish one message for a queue. `expected`: the properties that a re-injection must have; None: those that are sent."""
        table = tuple(sorted((*HEADERS, *headers)))
        header = encode_header({**properties, "headers": table, "message_id": f"id-{len(self.sent)}"})
        kept = tuple(pair for pair in table if pair[0] != "BCC")
        wanted = properties if expected is None else expected
        body = b"%s %d" % (queue.encode(), len(self.sent))
        self.sent.append(
            Sent(
                queue,
                reason,
                queue,
                encode_header({**wanted, "headers": kept, "message_id": f"id-{len(self.sent)}"}),
                body,
            )
        )
        self.publisher.publish(self.exchange.encode(), queue.encode(), header, body)
        self.publisher.wait_for_confirms()

    def reject(self, queue: str, requeue: bool = False) -> None:
        """Reject the next message of a queue."""
        wait_until(lambda: self.publisher.messages(queue)[0] > 0)
        self.publisher.get(queue)
        self.publisher.reject(requeue)

    def wait_for_dead_letters(self) -> None:
        """Until every message that was sent is in the dead-letter queue."""
        wait_until(lambda: self.publisher.messages(self.dead)[0] == len(self.sent))


def wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not met():
        assert time.monotonic() < deadline, "the broker does not come that far"
        time.sleep(0.02)


def arguments(**options: str | int) -> bytes:
    """Arguments of a queue, as `WirePublisher.declare` takes them."""
    fields = ((name, text(value) if isinstance(value, str) else Field("I", value)) for name, value in options.items())
    return encode_table(tuple(fields))[4:]


def die_in_every_way(cemetery: Cemetery) -> None:
    """One message for each way in which a message can die, and for each that changes what the broker remembers."""
    for way in (rejected, expired, too_many, too_often, at_least_once, with_copies, through_several_queues):
        way(cemetery)
    cemetery.wait_for_dead_letters()


def rejected(cemetery: Cemetery) -> None:
    queue = cemetery.queue("rejected")
    cemetery.publish(queue, "rejected", delivery_mode=2, priority=3, content_type="text/plain")
    cemetery.reject(queue)
    cemetery.publish(queue, "rejected", expiration="3600000")  # comes back: it was not the cause
    cemetery.reject(queue)


def expired(cemetery: Cemetery) -> None:
    cemetery.publish(cemetery.queue("queue-ttl", **{"x-message-ttl": 1}), "expired")
    cemetery.publish(cemetery.queue("message-ttl"), "expired", expiration="1", expected={})


def too_many(cemetery: Cemetery) -> None:
    queue = cemetery.queue("maxlen", **{"x-max-length": 1})
    cemetery.publish(queue, "maxlen")
    cemetery.publish(queue, "rejected")
    cemetery.reject(queue)


def too_often(cemetery: Cemetery) -> None:
    queue = cemetery.queue("delivery-limit", **{"x-queue-type": "quorum", "x-delivery-limit": 1})
    cemetery.publish(queue, "delivery_limit", delivery_mode=2)
    for _ in range(2):
        cemetery.reject(queue, requeue=True)


def at_least_once(cemetery: Cemetery) -> None:
    options: dict[str, str | int] = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
    queue = cemetery.queue("at-least-once", **options, **{"x-dead-letter-strategy": "at-least-once"})
    cemetery.publish(queue, "rejected", delivery_mode=2)
    cemetery.reject(queue)


def with_copies(cemetery: Cemetery) -> None:
    """The keys of CC and BCC lead nowhere. With a dead-letter routing key, RabbitMQ 3 removes the header CC."""
    copies = (("BCC", Field("A", (text("blind"),))), ("CC", Field("A", (text("copy.1"), text("copy.2")))))
    plain, keyed = cemetery.queue("copies"), cemetery.queue("copies-keyed", **{"x-dead-letter-routing-key": "other"})
    for queue in (plain, keyed):
        cemetery.publish(queue, "rejected", copies)
        cemetery.reject(queue)


def through_several_queues(cemetery: Cemetery) -> None:
    """Two and three deaths. RabbitMQ 3 puts the tables of three deaths in another order than that of the deaths."""
    for name, middles in (("twice", 1), ("thrice", 2)):
        hops = [f"{cemetery.exchange}-{name}-{number}" for number in range(middles)]
        queue = cemetery.queue(name, hops[0])
        for hop, then in zip(hops, [*hops[1:], None], strict=True):
            cemetery.publisher.declare_exchange(hop, "fanout")
            middle = cemetery.queue(f"{hop}-q", then, **{"x-message-ttl": 1})
            cemetery.publisher.bind(middle, hop, b"")
        cemetery.publish(queue, "rejected")
        cemetery.reject(queue)
