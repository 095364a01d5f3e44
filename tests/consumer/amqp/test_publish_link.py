"""Tests with a real RabbitMQ."""

import pytest

from consumer.amqp.publish_link import open_link
from consumer.errors import Exit, Fatal, Retry


@pytest.mark.parametrize(("wrong", "exit"), [("guest:wrong@", Exit.ACCESS), ("guest:guest@", Exit.VHOST)])
async def test_a_failed_login_is_fatal_and_does_not_show_the_password(url: str, wrong: str, exit: Exit) -> None:
    target = url.replace("guest:guest@", wrong) + ("" if exit is Exit.ACCESS else "missing")
    with pytest.raises(Fatal) as caught:
        await open_link(target, None, "test", lambda _: None)
    assert caught.value.exit is exit
    assert "wrong" not in str(caught.value)


async def test_an_unreachable_broker_is_retried() -> None:
    with pytest.raises(Retry, match="amqp://me:"):
        await open_link("amqp://me:secret@127.0.0.1:1/", None, "test", lambda _: None)
