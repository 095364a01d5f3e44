import pytest

from consumer.ingest.topology import Topology, user_of, without_password


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
    [({}, 20), ({"x-delivery-limit": 5}, 5), ({"x-delivery-limit": 0}, 0), ({"x-delivery-limit": -1}, None)],
)
def test_the_delivery_limit_is_the_one_that_is_declared_and_otherwise_assumed(
    arguments: dict[str, object], limit: int | None
) -> None:
    assert Topology("amqp://host/", "q", queue_arguments=arguments).delivery_limit == limit


def test_passwords_are_not_shown() -> None:
    assert without_password("amqps://user:secret@host:5671/vhost?cafile=x") == "amqps://user:***@host:5671/vhost"
    assert without_password("amqp://host/") == "amqp://host/"


def test_the_user_is_shown() -> None:
    assert user_of("amqp://user:secret@host/") == "user"
    assert user_of("amqp://host/") == "guest"
