import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from consumer.amqp.outgoing import Outgoing
from consumer.amqp.publish_frames import NAMES_MAX, CannotEncode, PublishFrames

FRAME_MAX = 4096
names = st.text(alphabet="abc.:-_/ABC019", max_size=50)
PROPERTIES = spec.Basic.Properties(content_type="text/plain", message_id="id", headers={"a": [1, {"b": True}]})


def unmarshalled(raw: bytes) -> list[tuple[int, object]]:
    """The frames as the library reads them, with their channels."""
    found = []
    while raw:
        size, channel, frame = pamqp.frame.unmarshal(raw)
        assert size <= FRAME_MAX
        found.append((channel, frame))
        raw = raw[size:]
    return found


@given(
    names, names, st.binary(max_size=3 * FRAME_MAX) | st.sampled_from([b"x" * (FRAME_MAX - 8), b"x" * (FRAME_MAX - 7)])
)
def test_the_library_reads_the_frames(exchange: str, routing_key: str, body: bytes) -> None:
    frames = PublishFrames(7, FRAME_MAX)
    raw = b"".join(frames.of(Outgoing(exchange, routing_key, PROPERTIES.marshal(), body)))
    (method_channel, method), (header_channel, header), *rest = unmarshalled(raw)
    assert isinstance(method, spec.Basic.Publish)
    assert isinstance(header, ContentHeader)
    assert (method.exchange, method.routing_key, method.mandatory, method.immediate) == (
        exchange,
        routing_key,
        True,
        False,
    )
    assert (header.body_size, header.properties) == (len(body), PROPERTIES)
    assert {method_channel, header_channel, *(channel for channel, _ in rest)} == {7}
    assert b"".join(piece.value for _, piece in rest if isinstance(piece, ContentBody)) == body


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_header_and_body_are_not_changed(header: bytes, body: bytes) -> None:
    """Also if the header is nothing that AMQP knows."""
    raw = b"".join(PublishFrames(1, 0).of(Outgoing("", "q", header, body)))
    expected = (
        b"\x02\x00\x01"
        + (12 + len(header)).to_bytes(4, "big")
        + b"\x00\x3c\x00\x00"
        + len(body).to_bytes(8, "big")
        + header
        + b"\xce"
    )
    assert raw.endswith(expected + (b"\x03\x00\x01" + len(body).to_bytes(4, "big") + body + b"\xce" if body else b""))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Outgoing("e" * 256, "", b"\x00\x00", b""), "the exchange has 256 bytes"),
        (Outgoing("", "é" * 128, b"\x00\x00", b""), "the routing key has 256 bytes"),
        (Outgoing("", "", b"x" * (FRAME_MAX - 19), b""), f"the content header has {FRAME_MAX - 19} bytes"),
    ],
)
def test_a_message_that_amqp_cannot_hold_is_an_error(message: Outgoing, text: str) -> None:
    with pytest.raises(CannotEncode, match=text):
        PublishFrames(1, FRAME_MAX).of(message)


def test_the_largest_header_fits() -> None:
    header = b"x" * (FRAME_MAX - 20)
    assert header in PublishFrames(1, FRAME_MAX).of(Outgoing("", "", header, b""))


def test_many_routing_keys_use_bounded_memory() -> None:
    frames = PublishFrames(1, FRAME_MAX)
    for number in range(NAMES_MAX + 10):
        frames.of(Outgoing("", str(number), b"\x00\x00", b""))
    assert len(frames.methods) <= NAMES_MAX
