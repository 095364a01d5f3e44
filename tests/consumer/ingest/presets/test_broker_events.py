import pytest

from codec.amqp import Field, encode_header
from codec.event import format_time
from consumer.ingest.describe import describe
from consumer.ingest.presets.broker_events import describe_broker_event
from tests.support.deliveries import delivery
from tests.support.golden_presets import by_key, golden, refined

VERSIONS = ("3.10", "4.0")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("key", "tags"),
    [
        ("queue.created", {"queue:billing", "vhost:/", "by:guest"}),
        ("queue.deleted", {"queue:billing", "vhost:/", "by:guest"}),
        ("exchange.created", {"exchange:orders", "vhost:/", "by:guest"}),
        ("binding.created", {"vhost:/", "by:guest"}),
        ("user.created", {"user:alice", "by:rmq-cli"}),
        ("permission.created", {"user:alice", "vhost:/", "by:rmq-cli"}),
        ("policy.set", {"policy:p1", "vhost:/", "by:rmq-cli"}),
        ("vhost.created", {"vhost:v2", "by:rmq-cli"}),
        ("user.authentication.failure", {"user:guest"}),
        ("consumer.created", {"vhost:/"}),
    ],
)
def test_the_tags_are_the_objects_and_the_user_who_acted(version: str, key: str, tags: set[str]) -> None:
    event = refined(describe_broker_event, by_key(f"broker-events-{version}")[key])
    assert (event.type, event.id, event.body) == (key, "", b"")
    assert tags <= set(event.tags)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_ends_of_a_binding_and_the_queue_of_a_consumer_are_tags(version: str) -> None:
    found = by_key(f"broker-events-{version}")
    binding, consumer = (
        refined(describe_broker_event, found[key]).tags for key in ("binding.deleted", "consumer.created")
    )
    assert {"exchange:orders", "queue:billing"} <= set(binding)
    assert any(tag.startswith("queue:deedbox-") for tag in consumer)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_time_has_milliseconds(version: str) -> None:
    """The property `timestamp` has only whole seconds."""
    for found in golden(f"broker-events-{version}"):
        base, event = describe(found), refined(describe_broker_event, found)
        assert base.time_us <= event.time_us < base.time_us + 1_000_000
    assert not all(
        format_time(refined(describe_broker_event, found).time_us).endswith(".000000Z")
        for found in golden(f"broker-events-{version}")
    )


@pytest.mark.parametrize("value", [Field("S", b"5"), Field("d", 5.0), Field("l", (1 << 63) - 1), Field("t", True)])
def test_another_message_stays_as_it_is(value: Field) -> None:
    found = delivery(1, header=encode_header({"headers": (("timestamp_in_ms", value), ("name", Field("S", b"x")))}))
    assert refined(describe_broker_event, found) == describe(found)
