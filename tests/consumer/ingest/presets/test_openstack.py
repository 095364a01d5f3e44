import orjson
import pytest

from codec.event import format_time
from consumer.ingest.describe import describe
from consumer.ingest.presets.openstack import describe_openstack
from tests.support.deliveries import delivery
from tests.support.golden_presets import golden, refined

ARRIVED = delivery(1).arrived_us
NOTIFICATION = {"event_type": "compute.create", "message_id": "n", "timestamp": "2026-11-19 23:11:00.060662"}


def test_both_versions_of_oslo_messaging_are_read() -> None:
    """`messaging` writes the notification alone, `messagingv2` writes it into an envelope."""
    first, second = (refined(describe_openstack, found) for found in golden("openstack"))
    assert (first.id, first.type) == ("2b9da7c7-d2cc-4c85-87bd-8316d2b94eaf", "compute.instance.create.end")
    assert format_time(first.time_us) == "2026-11-29T02:58:52.510197Z"
    assert (second.id, second.type) == ("8eef5997-b562-4be2-8f53-6fc50efbbc4d", "compute.instance.create.end")
    assert format_time(second.time_us) == "2026-11-29T02:58:52.573528Z"


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
    event = refined(describe_openstack, delivery(1, orjson.dumps(body)))
    assert (event.id, event.type, format_time(event.time_us)) == ("n", "compute.create", "2026-11-19T23:11:00.060662Z")


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\x00", b'{"event_type": "not json', b"[]", b"5", b'{"oslo.message": 5}', b'{"event_type": 5, "timestamp": [], "message_id": {}}',
     b'{"timestamp": "never"}', b'{"message_id": "\\ud800"}', b'"oslo.message"', b"[" * 100_000],
)  # fmt: skip
def test_without_a_notification_the_properties_are_used(body: bytes) -> None:
    """A body that is not the JSON it claims to be must not stop ingest."""
    assert refined(describe_openstack, delivery(1, body)) == describe(delivery(1, body))


def test_for_a_time_outside_of_the_calendar_the_arrival_is_used() -> None:
    """With a time zone the first hours of year 1 are before the calendar."""
    body = orjson.dumps(NOTIFICATION | {"timestamp": "0001-01-01T00:00:00+10:00"})
    assert refined(describe_openstack, delivery(1, body)).time_us == ARRIVED
