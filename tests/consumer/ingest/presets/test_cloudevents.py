import orjson
import pytest

from codec.amqp import Field, decode_header, encode_header
from codec.event import format_time
from consumer.amqp.delivery import Delivery
from consumer.ingest.describe import describe
from consumer.ingest.presets.cloudevents import describe_cloudevent
from tests.support.deliveries import delivery
from tests.support.golden_presets import by_key, refined

ATTRIBUTES = {"specversion": "1.0", "id": "i", "source": "/shop", "type": "order.placed"}


def structured(members: object, content_type: str = "application/cloudevents+json") -> Delivery:
    return delivery(1, orjson.dumps(members), header=encode_header({"content_type": content_type}))


def binary(*pairs: tuple[str, Field]) -> Delivery:
    required = [(f"cloudEvents:{name}", Field("S", value.encode())) for name, value in ATTRIBUTES.items()]
    return delivery(1, header=encode_header({"content_type": "application/json", "headers": (*required, *pairs)}))


@pytest.mark.parametrize(
    ("key", "id", "time"),
    [
        ("rabbitmq.binary", "ce-1", "2026-11-29T02:30:15.123456Z"),
        ("rabbitmq.structured", "ce-2", "2026-11-29T02:30:15.123456Z"),
        ("amqp.binary", "ce-3", "2026-11-29T02:30:15.123000Z"),
    ],
)
def test_the_messages_of_the_python_sdk_are_read(key: str, id: str, time: str) -> None:
    event = refined(describe_cloudevent, by_key("cloudevents")[key])
    assert (event.id, event.type, format_time(event.time_us)) == (id, "com.example.order.placed", time)
    assert event.tags == ("source:/shop/eu", f"subject:order-{id[-1]}")


@pytest.mark.parametrize(
    ("key", "id"), [("specification.binary", "1234-1234-1234"), ("specification.timestamp", "1234-1234-1235")]
)
def test_the_examples_of_the_amqp_binding_are_read(key: str, id: str) -> None:
    event = refined(describe_cloudevent, by_key("cloudevents")[key])
    assert (event.id, event.type, event.tags) == (id, "com.example.someevent", ("source:/mycontext/subcontext",))
    assert format_time(event.time_us) == "2018-04-05T03:56:24.000000Z"


def test_a_batch_stays_as_it_is() -> None:
    found = by_key("cloudevents")["specification.batch"]
    assert refined(describe_cloudevent, found) == describe(found)


def test_the_headers_of_a_batch_are_not_read() -> None:
    """They could describe only one of its events."""
    whole = binary()
    properties = decode_header(whole.header) | {"content_type": "application/cloudevents-batch+json"}
    found = whole._replace(header=encode_header(properties))
    assert refined(describe_cloudevent, whole).id == "i"
    assert refined(describe_cloudevent, found) == describe(found)


def test_parameters_and_case_of_the_media_type_do_not_matter() -> None:
    assert refined(describe_cloudevent, structured(ATTRIBUTES, "Application/CloudEvents+JSON; charset=UTF-8")).id == "i"


@pytest.mark.parametrize("missing", ATTRIBUTES)
def test_without_a_required_attribute_it_is_no_cloudevent(missing: str) -> None:
    members = {name: value for name, value in ATTRIBUTES.items() if name != missing}
    headers = tuple((f"ce-{name}", Field("S", value.encode())) for name, value in members.items())
    for found in (structured(members), delivery(1, header=encode_header({"headers": headers}))):
        assert refined(describe_cloudevent, found) == describe(found)


@pytest.mark.parametrize("format", ["avro", "protobuf"])
def test_of_other_formats_only_the_headers_are_read(format: str) -> None:
    found = structured(ATTRIBUTES, f"application/cloudevents+{format}")
    assert refined(describe_cloudevent, found) == describe(found)


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b'{"id":', b'{"id":5}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_the_json_it_claims_to_be_stays_as_it_is(body: bytes) -> None:
    found = structured({})._replace(body=body)
    assert refined(describe_cloudevent, found) == describe(found)


@pytest.mark.parametrize(
    ("field", "time_us"),
    [
        (Field("T", 1_763_741_700), 1_763_741_700_000_000),  # AMQP 0-9-1: seconds
        (Field("T", 1_763_741_700_123), 1_763_741_700_123_000),  # but some clients write milliseconds
        (Field("l", 1_763_741_700_123), 1_763_741_700_123_000),  # AMQP 1.0: milliseconds
        (Field("S", b"never"), delivery(1).arrived_us),
        (Field("t", True), delivery(1).arrived_us),
        (Field("T", (1 << 64) - 1), delivery(1).arrived_us),
    ],
)
def test_the_time_is_text_seconds_or_milliseconds(field: Field, time_us: int) -> None:
    assert refined(describe_cloudevent, binary(("cloudEvents:time", field))).time_us == time_us


def test_the_data_is_not_built_as_objects() -> None:
    """Data that is no valid event, or is large, does not matter."""
    assert (
        refined(describe_cloudevent, structured(ATTRIBUTES | {"data": {"id": [5], "time": {}}, "other": [[1]]})).id
        == "i"
    )
