import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.amqp import encode_header
from consumer.ingest.describe import describe
from tests.codec.strategies import headers
from tests.support.deliveries import delivery

ARRIVED = delivery(1).arrived_us


def test_id_type_and_time_come_from_the_properties() -> None:
    event = describe(delivery(1, header=encode_header({"message_id": "m", "type": "t", "timestamp": 1_700_000_000})))
    assert (event.id, event.type, event.time_us, event.arrived_us) == ("m", "t", 1_700_000_000_000_000, ARRIVED)


def test_without_properties_the_routing_key_and_the_arrival_are_used() -> None:
    event = describe(delivery(1))
    assert (event.id, event.type, event.time_us) == ("", "key", ARRIVED)


@pytest.mark.parametrize("timestamp", [1_763_741_700_000, (1 << 64) - 1])
def test_a_timestamp_out_of_range_is_ignored(timestamp: int) -> None:
    """Many publishers send milliseconds instead of seconds."""
    assert describe(delivery(1, header=encode_header({"timestamp": timestamp}))).time_us == ARRIVED


@given(headers, st.binary(max_size=200))
def test_describing_does_not_change_the_delivery(properties: dict[str, object], body: bytes) -> None:
    found = delivery(1, body, header=encode_header(properties), redelivered=True)
    event = describe(found)
    assert (event.exchange, event.routing_key, event.header, event.body) == ("exchange", "key", found.header, body)
    assert event.redelivered
