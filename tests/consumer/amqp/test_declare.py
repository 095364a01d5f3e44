"""Tests with a real RabbitMQ."""

from dataclasses import replace
from typing import Any

import pytest

from consumer import log
from consumer.amqp.connection import Broker
from consumer.amqp.topology import Declare, Topology
from consumer.errors import Exit, Fatal
from tests.support.wire import WirePublisher


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: lines.append({"event": event.name, **fields}))
    return lines


async def open_and_release(topology: Topology) -> None:
    session = await Broker(topology).open(lambda _found, _drained: None)
    await session.release()


async def test_the_second_declaration_creates_nothing(url: str, name: str, logged: list[dict[str, Any]]) -> None:
    topology = Topology(url, name, exchange=name, binding_keys=("a", "b"), declare=Declare.ALL)
    for created in (["exchange", "queue"], []):
        await open_and_release(topology)
        assert logged.pop() == {
            "event": "declared", "queue": name, "exchange": name, "bindings": ["a", "b"], "created": created,
            "messages": 0, "consumers": 0,
        }  # fmt: skip


async def test_a_new_queue_without_a_binding_is_reported(url: str, name: str, logged: list[dict[str, Any]]) -> None:
    """Earlier the service consumed such a queue without a warning."""
    await open_and_release(Topology(url, name))
    assert logged[-1] == {"event": "unbound", "queue": name}
    await open_and_release(Topology(url, name))
    assert logged[-1]["event"] == "declared"  # others may have bound a queue that existed


async def test_by_default_a_missing_exchange_is_fatal(url: str, name: str) -> None:
    topology = Topology(url, name, exchange=name)
    for _ in range(2):
        with pytest.raises(Fatal, match="check its name") as caught:
            await open_and_release(topology)
        assert caught.value.exit is Exit.MISSING
    with pytest.raises(Fatal, match="queue"):
        await open_and_release(replace(topology, exchange="", declare=Declare.NONE))


async def test_by_default_an_existing_exchange_is_used_and_the_queue_is_bound(
    url: str, name: str, publisher: WirePublisher, logged: list[dict[str, Any]]
) -> None:
    publisher.declare_exchange(name, "fanout")
    await open_and_release(Topology(url, name, exchange=name))
    assert logged[-1]["created"] == ["queue"]
    publisher.publish(name.encode(), b"a", b"\0\0", b"x")
    publisher.wait_for_confirms()
    await open_and_release(Topology(url, name, exchange=name, declare=Declare.NONE))
    assert (logged[-1]["messages"], logged[-1]["bindings"]) == (1, [])
