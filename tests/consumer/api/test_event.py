import decimal
from datetime import UTC, datetime

import pytest

from codec.amqp import Decimal, Field, encode_header
from codec.errors import CodecError
from codec.event import Event
from consumer.api.event import ArchivedEvent
from consumer.archive.position import Position
from tests.support.archive_logs import START_US

POSITION = Position("one", 7, 41)
TABLE = (
    ("text", Field("S", b"caf\xc3\xa9")), ("latin", Field("S", b"caf\xe9")), ("bytes", Field("x", b"\0\1")),
    ("count", Field("l", 3)), ("ratio", Field("d", 0.5)), ("set", Field("t", True)), ("none", Field("V", None)),
    ("price", Field("D", Decimal(2, 1999))), ("when", Field("T", 1_763_741_700)), ("never", Field("T", 1 << 60)),
    ("list", Field("A", (Field("I", 1), Field("S", b"two")))), ("inner", Field("F", (("a", Field("I", 1)),))),
)  # fmt: skip


def archived(**fields: object) -> ArchivedEvent:
    event = Event("id-1", "compute.x", START_US, START_US + 1, "nova", "key", b"\0\0", b'{"n":1}')
    return ArchivedEvent(event._replace(**fields), POSITION)


def test_the_fields_of_the_event_are_those_of_the_archive() -> None:
    event = archived(tags=("a",), redelivered=True)
    assert (event.id, event.type, event.tags, event.exchange, event.routing_key) == (
        "id-1", "compute.x", ("a",), "nova", "key",
    )  # fmt: skip
    assert (event.redelivered, event.body, event.header, event.position) == (True, b'{"n":1}', b"\0\0", POSITION)


def test_times_are_datetimes_in_utc_to_the_microsecond() -> None:
    assert archived(time_us=START_US + 7).time == datetime(2025, 11, 21, 16, 15, 0, 7, tzinfo=UTC)
    assert archived().arrived == datetime(2025, 11, 21, 16, 15, 0, 1, tzinfo=UTC)


def test_a_marked_event_has_the_position_of_the_first_one() -> None:
    assert archived().duplicate is None
    assert archived(duplicate="one-00000001:3").duplicate == Position("one", 1, 3)


def test_headers_are_python_values() -> None:
    event = archived(header=encode_header({"headers": TABLE}))
    when = datetime(2025, 11, 21, 16, 15, tzinfo=UTC)
    assert event.headers == {
        "text": "café", "latin": "caf\udce9", "bytes": b"\0\1", "count": 3, "ratio": 0.5, "set": True, "none": None,
        "price": decimal.Decimal("19.99"), "when": when, "never": 1 << 60, "list": [1, "two"], "inner": {"a": 1},
    }  # fmt: skip
    assert event.properties == {}


def test_properties_are_without_the_headers() -> None:
    header = encode_header({"headers": TABLE, "app_id": "nova", "delivery_mode": 2, "timestamp": 1_763_741_700})
    when = datetime(2025, 11, 21, 16, 15, tzinfo=UTC)
    assert archived(header=header).properties == {"app_id": "nova", "delivery_mode": 2, "timestamp": when}
    assert archived().headers == {}


def test_a_malformed_header_is_an_error_and_the_body_can_be_read() -> None:
    event = archived(header=b"\xff\xff")
    with pytest.raises(CodecError):
        _ = event.headers
    with pytest.raises(CodecError):
        _ = event.properties
    assert event.json() == {"n": 1}


def test_integers_of_a_json_body_are_exact() -> None:
    assert archived(body=b"[123456789012345678901]").json() == [123456789012345678901]


@pytest.mark.parametrize("body", [b"", b"no json", b"\xff\xfe\xff", b"[" * 100_000])
def test_a_body_that_is_not_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        archived(body=body).json()


def test_events_are_values() -> None:
    assert archived() == archived()
    assert archived() != archived(body=b"")
    assert archived() != "one-00000007:41"
    assert len({archived(), archived()}) == 1
    assert repr(archived()) == "<ArchivedEvent one-00000007:41 'compute.x' 2025-11-21T16:15:00.000000Z 7 bytes>"
    for name in ("id", "position"):
        with pytest.raises(AttributeError):
            setattr(archived(), name, "other")
