from hypothesis import given
from hypothesis import strategies as st

from codec.amqp import Field, encode_header
from codec.stable import stable_header
from tests.support.messages import nested


def test_redeliveries_of_one_message_have_one_stable_header() -> None:
    """RabbitMQ adds its counter to a redelivered message and sorts the headers."""
    first = encode_header({"headers": (("b", Field("I", 1)), ("a", Field("V", None))), "message_id": "x"})
    counted = (("a", Field("V", None)), ("b", Field("I", 1)), ("x-delivery-count", Field("l", 3)))
    again = encode_header({"headers": counted, "message_id": "x"})
    assert stable_header(first) == stable_header(again)
    bare = encode_header({"message_id": "x"})
    assert stable_header(encode_header({"headers": counted[2:], "message_id": "x"})) == bare


@given(st.binary(max_size=200))
def test_a_header_that_cannot_be_decoded_is_returned_unchanged(raw: bytes) -> None:
    assert isinstance(stable_header(raw), bytes)


def test_counters_are_removed_from_a_header_of_any_depth() -> None:
    deep = nested(150)
    again = encode_header({"headers": (*deep, ("x-delivery-count", Field("l", 2)))})
    assert stable_header(again) == stable_header(encode_header({"headers": deep}))
