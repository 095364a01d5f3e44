"""The marker of a message that is published again."""

import pytest

from codec.amqp import Field, decode_header, encode_header, encode_table
from consumer.amqp.outgoing import Outgoing
from consumer.replay.marker import NAME, Marker
from consumer.replay.target import Unpublishable

OTHERS = (("a", Field("t", True)), ("deep", Field("F", (("x", Field("V", None)),))))


def marked(header: bytes, run: str = "run-1", position: str = "a1-00000007:41") -> bytes:
    sent = Marker(run).mark(Outgoing("e", "k", header, b"body"), position)
    assert isinstance(sent, Outgoing)
    assert (sent.exchange, sent.routing_key, sent.body) == ("e", "k", b"body")
    return sent.header


def marker(run: bytes = b"run-1", position: bytes = b"a1-00000007:41", count: int = 1) -> tuple[str, Field]:
    members = (("position", Field("S", position)), ("run", Field("S", run)), ("count", Field("l", count)))
    return NAME, Field("F", members)


def test_the_marker_comes_after_the_other_headers() -> None:
    header = encode_header({"content_type": "a/b", "headers": OTHERS, "message_id": "m"})
    assert decode_header(marked(header)) == {
        "content_type": "a/b", "headers": (*OTHERS, marker()), "message_id": "m"
    }  # fmt: skip
    assert decode_header(marked(b"\0\0")) == {"headers": (marker(),)}


def test_an_older_marker_is_replaced_and_its_count_goes_on() -> None:
    header = encode_header({"headers": OTHERS})
    twice = marked(marked(header), "run-2", "b-00000001:0")
    assert decode_header(twice) == {"headers": (*OTHERS, marker(b"run-2", b"b-00000001:0", 2))}
    assert decode_header(marked(twice))["headers"] == (*OTHERS, marker(count=3))


@pytest.mark.parametrize(
    "old", [Field("S", b"text"), Field("F", ()), Field("F", (("count", Field("S", b"5")),)), Field("F", (("count", Field("l", -1)),))]
)  # fmt: skip
def test_a_marker_of_another_form_counts_as_none(old: Field) -> None:
    assert decode_header(marked(encode_header({"headers": ((NAME, old),)}))) == {"headers": (marker(),)}


def test_the_name_of_the_marker_in_a_value_is_no_marker() -> None:
    header = encode_header({"headers": (("note", Field("S", NAME.encode())),)})
    assert decode_header(marked(header)) == {"headers": (("note", Field("S", NAME.encode())), marker())}


def test_an_event_with_a_damaged_header_is_no_message() -> None:
    damaged = encode_table((("a", Field("V", None)),))[:-1]
    for header in (b"", b"\x20\0" + damaged, b"\x20\0\0\0\0\x20" + NAME.encode()):
        assert isinstance(Marker("run").mark(Outgoing("e", "k", header, b""), "a1-00000001:0"), Unpublishable)
