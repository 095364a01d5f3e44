"""Where an event is published."""

import pytest

from codec.amqp import Field, decode_header, encode_header
from codec.event import Event
from consumer.amqp.outgoing import Outgoing
from consumer.errors import Fatal
from consumer.replay.target import Overrides, Unpublishable, parse_headers

HEADER = encode_header({"headers": (("a", Field("t", True)), ("b", Field("I", 1))), "message_id": "m"}).replace(b"\x01at\x01", b"\x01at\x02")  # fmt: skip
EVENT = Event("m", "type", 1, 2, "exchange", "key", HEADER, b"body")


def test_without_overrides_everything_is_as_archived() -> None:
    assert Overrides().route()(EVENT) == Outgoing("exchange", "key", HEADER, b"body")


def test_names_are_replaced_also_by_empty_ones() -> None:
    assert Overrides("other", "").route()(EVENT) == Outgoing("other", "", HEADER, b"body")
    assert Overrides("", "queue").route()(EVENT) == Outgoing("", "queue", HEADER, b"body")


def test_a_header_is_set_or_replaced_and_the_others_keep_their_bytes() -> None:
    route = Overrides(headers=parse_headers(["b=2", "c=x"])).route()
    sent = route(EVENT)
    assert isinstance(sent, Outgoing)
    expected = (("a", Field("t", True)), ("b", Field("l", 2)), ("c", Field("S", b"x")))
    assert decode_header(sent.header) == {"headers": expected, "message_id": "m"}
    assert b"\x01at\x02" in sent.header
    bare = route(EVENT._replace(header=b"\0\0"))
    assert isinstance(bare, Outgoing)
    assert decode_header(bare.header) == {"headers": expected[1:]}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("3", Field("l", 3)), ("-9223372036854775808", Field("l", -(1 << 63))), ("007", Field("S", b"007")),
        ("1.5", Field("d", 1.5)), ("1e3", Field("d", 1000.0)), ("true", Field("t", True)), ("false", Field("t", False)),
        ('"3"', Field("S", b"3")), ("", Field("S", b"")), ("a=b", Field("S", b"a=b")), ("null", Field("S", b"null")),
        ('{"a":1}', Field("S", b'{"a":1}')), ("True", Field("S", b"True")), ("ü", Field("S", "ü".encode())),
    ],
)  # fmt: skip
def test_values_have_the_types_that_they_look_like(text: str, field: Field) -> None:
    assert parse_headers([f"name={text}"]) == (("name", field),)


def test_of_one_name_the_last_value_counts() -> None:
    assert parse_headers(["a=1", "b=2", "a=3"]) == (("a", Field("l", 3)), ("b", Field("l", 2)))


@pytest.mark.parametrize("text", ["a", "=1", "a=9223372036854775808", f"{'n' * 256}=1", "a=" + "9" * 5000])
def test_a_text_that_is_no_header_is_refused(text: str) -> None:
    with pytest.raises(Fatal, match="--header"):
        parse_headers([text])


def test_names_that_amqp_cannot_hold_are_refused() -> None:
    with pytest.raises(Fatal, match="exchange has 256 bytes"):
        Overrides(exchange="x" * 256).route()
    with pytest.raises(Fatal, match="routing key has 256 bytes"):
        Overrides(routing_key="ü" * 128).route()
    route = Overrides().route()
    assert isinstance(route(EVENT._replace(routing_key="ü" * 127)), Outgoing)
    assert route(EVENT._replace(routing_key="ü" * 128)) == Unpublishable(
        "its routing key has 256 bytes, at most 255 are allowed"
    )
    assert isinstance(route(EVENT._replace(exchange="x" * 300)), Unpublishable)


def test_an_event_without_a_readable_header_is_no_message() -> None:
    assert isinstance(Overrides().route()(EVENT._replace(header=b"")), Unpublishable)
    damaged = EVENT._replace(header=b"\x20\0\0\0\0\x09a")
    assert isinstance(Overrides().route()(damaged), Outgoing)  # the broker decides
    assert isinstance(Overrides(headers=parse_headers(["a=1"])).route()(damaged), Unpublishable)
