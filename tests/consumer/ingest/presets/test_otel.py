import pytest

from codec.amqp import Field, encode_header
from consumer.amqp.delivery import Delivery
from consumer.ingest.describe import describe
from consumer.ingest.presets.otel import describe_trace, trace_of
from tests.support.deliveries import delivery
from tests.support.golden_presets import golden, refined

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALID = f"00-{TRACE}-00f067aa0ba902b7-01"  # the example of W3C Trace Context, section 3.2.4


def carrying(*pairs: tuple[str, str], kind: str = "S") -> Delivery:
    return delivery(
        1, header=encode_header({"headers": tuple((name, Field(kind, value.encode())) for name, value in pairs)})
    )


def test_the_messages_of_opentelemetrys_instrumentation_get_the_tag_of_their_trace() -> None:
    events = [refined(describe_trace, found) for found in golden("otel")]
    assert [event.tags for event in events] == [("trace:c874359b0ed6b3723a87f6789ddced8b",)] * 2


@pytest.mark.parametrize(
    "name",
    [
        "traceparent",
        "Traceparent",
        "TRACEPARENT",
        "cloudEvents:traceparent",
        "cloudEvents_traceparent",
        "ce-traceparent",
    ],
)
@pytest.mark.parametrize("kind", ["S", "x"])
def test_the_header_is_read_in_any_case_and_as_an_attribute_of_cloudevents(name: str, kind: str) -> None:
    assert refined(describe_trace, carrying((name, VALID), kind=kind)).tags == (f"trace:{TRACE}",)


@pytest.mark.parametrize("version", ["3.10", "4.0"])
def test_the_header_of_a_traced_message_is_read(version: str) -> None:
    found = golden(f"firehose-{version}")[0]
    assert refined(describe_trace, found).tags == ("trace:0af7651916cd43dd8448eb211c80319c",)


def test_id_type_and_time_stay() -> None:
    found = carrying(("traceparent", VALID))
    assert refined(describe_trace, found)._replace(tags=()) == describe(found)


def test_a_later_version_may_have_more_parts() -> None:
    assert trace_of(f"cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-brings") == TRACE
    assert trace_of(f" {VALID}\t") == TRACE


@pytest.mark.parametrize(
    "value",
    ["", "00", VALID.upper(), VALID[:-1], f"{VALID}-more", f"ff-{TRACE}-00f067aa0ba902b7-01", f"00-{'0' * 32}-00f067aa0ba902b7-01",
     f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE[:-1]}-00f067aa0ba902b7-01", f"cc-{TRACE}-00f067aa0ba902b7-01.more", f"00-{TRACE[:-1]}g-00f067aa0ba902b7-01", f"{VALID}\n"],
)  # fmt: skip
def test_an_invalid_one_is_ignored(value: str) -> None:
    """The cases are those of W3C's test suite."""
    assert trace_of(value) == ""
    assert refined(describe_trace, carrying(("traceparent", value))).tags == ()


def test_a_header_with_another_name_is_no_traceparent() -> None:
    assert refined(describe_trace, carrying(("x-traceparent", VALID), ("tracestate", VALID))).tags == ()
