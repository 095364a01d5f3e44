from dataclasses import replace
from time import process_time
from typing import Any

import pytest

from consumer.amqp.topology import Declare, Topology, matches, user_of, without_password


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("quorum", {"x-queue-type": "quorum", "x-delivery-limit": -1}),
        ("classic", {"x-delivery-limit": -1}),
    ],
)
def test_the_type_of_a_queue_is_an_argument(kind: str, arguments: dict[str, object]) -> None:
    assert Topology("amqp://host/", "q", kind, {"x-delivery-limit": -1}).all_queue_arguments() == arguments


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [({}, 3), ({"x-delivery-limit": 5}, 5), ({"x-delivery-limit": 0}, 0), ({"x-delivery-limit": -1}, None)],
)
def test_the_delivery_limit_is_the_declared_one_or_an_assumed_one(
    arguments: dict[str, object], limit: int | None
) -> None:
    assert Topology("amqp://host/", "q", queue_arguments=arguments).delivery_limit == limit


def test_passwords_are_not_shown() -> None:
    assert without_password("amqps://user:secret@host:5671/vhost?cafile=x") == "amqps://user:***@host:5671/vhost"
    assert without_password("amqp://host/") == "amqp://host/"


def test_the_user_is_shown() -> None:
    assert user_of("amqp://user:secret@host/") == "user"
    assert user_of("amqp://host/") == "guest"


@pytest.mark.parametrize(
    ("binding", "matching", "other"),
    [
        ("#", ["", "a", "a.b"], []),
        ("a.b", ["a.b"], ["a", "a.b.c", "axb"]),
        ("a.*", ["a.b", "a."], ["a", "a.b.c"]),
        ("*", ["a"], ["a.b", ""]),
        ("a.#", ["a", "a.b", "a.b.c"], ["b", "ab"]),
        ("#.c", ["c", "a.b.c"], ["c.a", "ac"]),
        ("*.#.z", ["a.z", "a.b.c.z"], ["z", "a"]),
        ("a+.b", ["a+.b"], ["aa.b"]),
    ],
)
def test_binding_keys_match_as_a_topic_exchange_routes(binding: str, matching: list[str], other: list[str]) -> None:
    assert [key for key in matching + other if matches(binding, key)] == matching


def test_the_time_to_match_a_key_is_bounded() -> None:
    """One message with 127 words blocked the event loop for half a second."""
    began = process_time()
    for serial in range(20):
        assert not matches("#.a.#.a.#.a.#.a.#.b", f"{serial}" + ".a" * 120)
    assert process_time() - began < 1.0


@pytest.mark.parametrize(
    ("changes", "explained"),
    [
        ({}, True),
        ({"binding_keys": ("b.#",)}, False),
        ({"exchange_type": "direct", "binding_keys": ("a.#",)}, False),
        ({"exchange_type": "direct", "binding_keys": ("a.b",)}, True),
        ({"exchange_type": "fanout", "binding_keys": ("",)}, True),
        ({"exchange": "other"}, False),
        ({"exchange": ""}, True),
        ({"exchange": "other", "declare": Declare.NONE}, True),
    ],
)
def test_a_message_is_explained_by_the_bindings_of_deedbox(changes: dict[str, Any], explained: bool) -> None:
    topology = replace(Topology("amqp://host/", "q", exchange="events", binding_keys=("a.#",)), **changes)
    assert topology.explains("events", "a.b") is explained
