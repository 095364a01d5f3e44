"""A message to publish."""

from consumer.amqp.outgoing import Outgoing


def test_equal_messages_are_equal_and_any_difference_counts() -> None:
    message = Outgoing("ex", "rk", b"\x00\x00", b"hi")
    assert message == Outgoing("ex", "rk", b"\x00\x00", b"hi")
    changed = [
        message._replace(exchange=""), message._replace(routing_key=""),
        message._replace(header=b"\x80\x00\x00"), message._replace(body=b""),
    ]  # fmt: skip
    assert all(other != message for other in changed)
