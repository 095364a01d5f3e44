import pytest

from codec.amqp import Field, encode_header
from codec.event import Event, format_time
from consumer.ingest.describe import describe
from consumer.ingest.presets.firehose import describe_traced
from tests.support.deliveries import delivery
from tests.support.golden_presets import golden, refined

VERSIONS = ("3.10", "4.0")


def traced(version: str) -> list[Event]:
    return [refined(describe_traced, found) for found in golden(f"firehose-{version}")]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_published_message_is_described_by_its_own_properties(version: str) -> None:
    event = traced(version)[0]
    assert (event.exchange, event.routing_key, event.body) == ("amq.rabbitmq.trace", "publish.orders", b'{"order":1}')
    assert (event.id, event.type, format_time(event.time_us)) == ("m-1", "order.placed", "2025-11-21T16:15:00.000000Z")
    assert event.tags == ("exchange:orders", "key:order.placed.eu", "queue:billing", "user:guest")


@pytest.mark.parametrize("version", VERSIONS)
def test_without_properties_the_routing_key_and_the_arrival_are_used(version: str) -> None:
    cancelled, unroutable, direct = traced(version)[1:4]
    assert (cancelled.id, cancelled.type, cancelled.time_us) == ("", "order.cancelled", cancelled.arrived_us)
    assert unroutable.tags == ("exchange:orders", "key:unroutable", "user:guest")
    assert (direct.type, direct.tags) == ("billing", ("key:billing", "queue:billing", "user:guest"))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_delivered_message_has_the_tag_of_its_queue(version: str) -> None:
    event = traced(version)[4]
    assert event.routing_key == "deliver.billing"
    assert (event.id, event.tags) == ("m-1", ("exchange:orders", "key:order.placed.eu", "queue:billing", "user:guest"))


def test_another_message_stays_as_it_is() -> None:
    found = delivery(
        1, header=encode_header({"headers": (("exchange_name", Field("S", b"x")), ("properties", Field("F", ())))})
    )
    assert refined(describe_traced, found) == describe(found)


@pytest.mark.parametrize("timestamp", [Field("I", -5), Field("S", b"5"), Field("t", True)])
def test_a_timestamp_that_the_tracer_has_cut_is_ignored(timestamp: Field) -> None:
    properties = Field("F", (("timestamp", timestamp), ("message_id", Field("l", 5))))
    headers = (("exchange_name", Field("S", b"x")), ("routing_keys", Field("A", ())), ("properties", properties))
    found = delivery(1, header=encode_header({"headers": headers}))
    event = refined(describe_traced, found)
    assert (event.id, event.type, event.time_us, event.tags) == ("", "key", found.arrived_us, ("exchange:x",))
