"""Tests with a real RabbitMQ."""

from codec.amqp import encode_header
from consumer.amqp.confirmed_publisher import ConfirmedPublisher
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Outcome, Settled, Window
from tests.support.wire import WirePublisher

CONFIRMED, UNROUTABLE, REFUSED = Outcome.CONFIRMED, Outcome.UNROUTABLE, Outcome.REFUSED
HEADER = encode_header({"delivery_mode": 2})


async def test_every_message_is_confirmed_once_and_is_in_the_queue(
    url: str, name: str, publisher: WirePublisher
) -> None:
    publisher.declare(name)
    settled: list[Settled] = []
    async with ConfirmedPublisher(url, None, "test", settled.extend, Window(100)) as sender:
        for start in range(0, 1000, 250):
            await sender.send([(n, Outgoing("", name, HEADER, b"%d" % n)) for n in range(start, start + 250)])
        await sender.drain()
        assert sender.unsettled == []
    assert sorted(one.number for one in settled) == list(range(1000))
    assert {one.outcome for one in settled} == {CONFIRMED}
    assert publisher.messages(name)[0] == 1000
    assert publisher.get(name) == b"0"
    publisher.delete(name)
