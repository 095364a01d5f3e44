import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.amqp import encode_header
from codec.event import format_time
from consumer.ingest.describe import describe, describe_openstack
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
    for event in (describe(found), describe_openstack(found)):
        assert (event.exchange, event.routing_key, event.header, event.body, event.redelivered) == (
            "exchange",
            "key",
            found.header,
            body,
            True,
        )


NOTIFICATION = {"event_type": "compute.create", "message_id": "n", "timestamp": "2026-11-19 23:11:00.060662"}


@pytest.mark.parametrize(
    "body",
    [
        NOTIFICATION,
        {"oslo.version": "2.0", "oslo.message": orjson.dumps(NOTIFICATION).decode()},
        NOTIFICATION | {"timestamp": "2026-11-19T23:11:00.060662Z"},
    ],
    ids=["plain", "envelope", "zone"],
)
def test_id_type_and_time_come_from_the_notification(body: dict[str, str]) -> None:
    event = describe_openstack(delivery(1, orjson.dumps(body)))
    assert (event.id, event.type, format_time(event.time_us)) == ("n", "compute.create", "2026-11-19T23:11:00.060662Z")


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\x00", b'{"event_type": "not json', b"[]", b"5", b'{"oslo.message": 5}', b'{"event_type": 5, "timestamp": [], "message_id": {}}',
     b'{"timestamp": "never"}', b'{"message_id": "\\ud800"}', b'"oslo.message"', b"[" * 100_000],
)  # fmt: skip
def test_without_a_notification_the_properties_are_used(body: bytes) -> None:
    """A body that is not the JSON it claims to be must not stop ingest."""
    assert describe_openstack(delivery(1, body)) == describe(delivery(1, body))


def test_for_a_time_outside_of_the_calendar_the_arrival_is_used() -> None:
    """With a time zone the first hours of year 1 are before the calendar."""
    body = orjson.dumps(NOTIFICATION | {"timestamp": "0001-01-01T00:00:00+10:00"})
    assert describe_openstack(delivery(1, body)).time_us == ARRIVED
