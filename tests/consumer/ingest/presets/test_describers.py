import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.amqp import Field, encode_header
from codec.limits import check_event
from consumer.amqp.delivery import Delivery
from consumer.errors import Fatal
from consumer.ingest.describe import describe
from consumer.ingest.presets.describers import DESCRIBERS, describe_by
from consumer.ingest.presets.guard import checked
from consumer.ingest.presets.names import Preset
from tests.codec.strategies import headers, leaves, tables
from tests.support.deliveries import delivery
from tests.support.golden_presets import golden

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_amqp_alone_is_the_plain_function() -> None:
    """It costs nothing more."""
    assert describe_by(["amqp"]) is describe


def test_every_preset_has_a_describer() -> None:
    assert DESCRIBERS.keys() | {Preset.AMQP} == set(Preset)


def test_each_describer_refines_the_result_of_those_before_it() -> None:
    body = orjson.dumps({"event_type": "compute.create", "message_id": "n"})
    found = delivery(1, body, header=encode_header({"headers": (("traceparent", Field("S", TRACE.encode())),)}))
    event = describe_by(["amqp", "openstack", "otel"])(found)
    assert (event.id, event.type, event.tags) == ("n", "compute.create", ("trace:0af7651916cd43dd8448eb211c80319c",))


def test_a_function_that_does_not_exist_is_fatal() -> None:
    with pytest.raises(Fatal, match="no_such_module"):
        describe_by(["otel", "no_such_module:describe"])


_names = st.sampled_from(
    ["traceparent", "cloudEvents:id", "cloudEvents:type", "cloudEvents_time", "ce-source", "ce-specversion", "ce-time", "exchange_name",
     "routing_keys", "routed_queues", "properties", "user", "name", "queue", "timestamp_in_ms", "source_kind", "source_name"]
)  # fmt: skip
_inner = st.lists(
    st.tuples(st.sampled_from(["headers", "message_id", "timestamp", "type", "traceparent"]), leaves), max_size=5
)
_fields = (
    leaves
    | _inner.map(lambda pairs: Field("F", tuple(pairs)))
    | st.lists(leaves, max_size=3).map(lambda one: Field("A", tuple(one)))
)
_hostile_headers = st.builds(
    lambda properties, table: encode_header(properties | {"headers": table}),
    st.fixed_dictionaries({}, optional={"content_type": st.sampled_from(["application/cloudevents+json", "application/cloudevents-batch+json", "a/b"])}),
    st.lists(st.tuples(_names, _fields), max_size=12).map(tuple) | tables,
)  # fmt: skip
_members = st.sampled_from(
    [
        "id",
        "type",
        "source",
        "specversion",
        "time",
        "uuid",
        "hostname",
        "timestamp",
        "event_type",
        "oslo.message",
        "data",
    ]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
    | st.sampled_from(["2026-11-29T02:30:15Z", "0001-01-01T00:00:00+10:00", "1.0", "9" * 400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_members, inner, max_size=8),
    max_leaves=20,
)  # fmt: skip
_bodies = (
    st.binary(max_size=200)
    | _json.map(orjson.dumps)
    | st.sampled_from(
        [b"[" * 100_000, b'{"a":' * 100_000, b'{"timestamp":1e400,"type":"t","hostname":"h"}', b'{"type":"\\ud800","hostname":"h","timestamp":1}', b"[]",
         b'[{"type":"t","hostname":"h","timestamp":1},5]', b'{"type":"t","hostname":"h","timestamp":1.7976931348623157e308}']
    )
)  # fmt: skip


@given(
    st.binary(max_size=80) | headers.map(encode_header) | _hostile_headers,
    _bodies,
    st.sampled_from(["", "publish.x", "deliver.q", "queue.created", "\udcff"]),
)
def test_no_message_makes_a_describer_raise(header: bytes, body: bytes, key: str) -> None:
    """They are called without their guard here. The result is an event that an archive can hold, and the delivery is unchanged."""
    found = delivery(1, body, header=header, routing_key=key, redelivered=True)
    event = describe(found)
    for describer in DESCRIBERS.values():
        event = checked(describer(found, event), event)
    check_event(event)
    assert (
        Delivery(1, event.redelivered, event.exchange, event.routing_key, event.header, event.body, event.arrived_us)
        == found
    )


def test_a_header_that_is_nested_too_deeply_is_read_as_far_as_possible() -> None:
    deep = b""
    for _ in range(150):
        deep = b"\x01xF" + len(deep).to_bytes(4, "big") + deep
    table = b"\x0btraceparentS" + len(TRACE).to_bytes(4, "big") + TRACE.encode() + deep
    found = delivery(1, header=b"\x20\x00" + len(table).to_bytes(4, "big") + table)
    assert describe_by(["otel"])(found).tags == ("trace:0af7651916cd43dd8448eb211c80319c",)


@pytest.mark.parametrize("cut", range(1, 60))
@pytest.mark.parametrize("name", ["broker-events-4.0", "firehose-4.0", "cloudevents", "celery", "otel", "openstack"])
def test_a_cut_message_never_raises(name: str, cut: int) -> None:
    whole = golden(name)[0]
    for found in (whole._replace(header=whole.header[:-cut]), whole._replace(body=whole.body[:-cut])):
        event = describe(found)
        for describer in DESCRIBERS.values():
            event = checked(describer(found, event), event)


@pytest.mark.parametrize("name", ["broker-events-4.0", "firehose-4.0", "cloudevents", "celery", "otel", "openstack"])
def test_all_other_presets_leave_the_id_and_the_time_of_a_message_alone(name: str) -> None:
    """So several kinds of messages in one queue can be described together. Tags may be added."""
    own = Preset(name.removesuffix("-4.0"))
    for found in golden(name):
        event = describe(found)
        for preset, describer in DESCRIBERS.items():
            refined = describer(found, event)
            if preset not in (own, Preset.OPENSTACK):  # `timestamp` and `message_id` have no name of their own
                assert (refined.id, refined.type, refined.time_us) == (event.id, event.type, event.time_us)
