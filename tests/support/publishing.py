"""Publish with a `ConfirmedPublisher`, and keep what became of each message."""

import ssl
from collections.abc import Sequence

from codec.amqp import encode_header
from consumer.amqp.confirmed_publisher import ConfirmedPublisher
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Outcome, Settled, Window

PERSISTENT = encode_header({"delivery_mode": 2})


class Outcomes:
    """What was settled. Each number at most once."""

    def __init__(self) -> None:
        self.by_number: dict[int, Settled] = {}

    def take(self, settled: list[Settled]) -> None:
        for one in settled:
            assert one.number not in self.by_number, f"settled twice: {one} and {self.by_number[one.number]}"
            self.by_number[one.number] = one

    def of(self, outcome: Outcome) -> list[int]:
        return sorted(number for number, one in self.by_number.items() if one.outcome is outcome)

    def reason(self, number: int) -> str:
        return self.by_number[number].reason


def connected(
    url: str, outcomes: Outcomes, window: Window | None = None, context: ssl.SSLContext | None = None
) -> ConfirmedPublisher:
    """A publisher to be entered."""
    return ConfirmedPublisher(url, context, "test", outcomes.take, window or Window())


async def published(url: str, messages: Sequence[Outgoing], window: Window | None = None) -> Outcomes:
    """Publish the messages under the numbers 0, 1, ... and wait for all of them."""
    outcomes = Outcomes()
    async with connected(url, outcomes, window) as publisher:
        await publisher.send(list(enumerate(messages)))
        await publisher.drain()
        assert publisher.unsettled == []
    return outcomes


def plain(queue: str, count: int) -> list[Outgoing]:
    """Messages for a queue, which differ by their bodies."""
    return [Outgoing("", queue, PERSISTENT, b"%d" % number) for number in range(count)]
