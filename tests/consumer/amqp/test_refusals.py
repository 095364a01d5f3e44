"""The texts are those of the broker; test_confirmed_publisher has them from a real one."""

import pytest

from codec.amqp import encode_header
from consumer.amqp.confirm_splitter import Closed
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.refusals import is_about_a_message, named

PLAIN = encode_header({})
MESSAGES = list(
    enumerate(
        [
            Outgoing("a", "k", PLAIN, b"x"),
            Outgoing("b", "k", PLAIN, b"x" * 9),
            Outgoing("a", "l", encode_header({"user_id": "me"}), b""),
            Outgoing("a", "l", encode_header({"expiration": "soon"}), b""),
            Outgoing("it's", "l", b"\xff\xff broken", b""),
            Outgoing("", "l", PLAIN, b""),
        ]
    )
)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("NOT_FOUND - no exchange 'a' in vhost '/'", [0, 2, 3]),
        ("NOT_FOUND - no exchange 'it's' in vhost '/'", [4]),
        ("NOT_FOUND - no exchange 'c' in vhost '/'", []),
        ("ACCESS_REFUSED - access to exchange 'b' in vhost '/' refused for user 'me'", [1]),
        ("ACCESS_REFUSED - write access to exchange 'b' in vhost '/' refused for user 'me'", [1]),
        ("ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user 'me'", [5]),
        ("ACCESS_REFUSED - cannot publish to internal exchange 'b' in vhost '/'", [1]),
        ("ACCESS_REFUSED - access to topic 'k' in exchange 'a' in vhost '/' refused for user 'me'", [0]),
        ("PRECONDITION_FAILED - message size 9 is larger than configured max size 5", [1]),
        ("PRECONDITION_FAILED - message size 9 larger than configured max size 5", [1]),
        ("PRECONDITION_FAILED - user_id property set to 'me' but authenticated user was 'guest'", [2]),
        ("PRECONDITION_FAILED - invalid expiration 'soon': {leftover_string,<<\"soon\">>}", [3]),
        ("PRECONDITION_FAILED - anything else", []),
    ],
)
def test_the_text_names_messages(text: str, numbers: list[int]) -> None:
    assert [number for number, _ in named(Closed(1, 406, text), MESSAGES)] == numbers


@pytest.mark.parametrize(
    ("closed", "about"),
    [
        (Closed(1, 406, ""), True),
        (Closed(0, 541, "INTERNAL_ERROR"), True),
        (Closed(0, 320, "CONNECTION_FORCED"), False),
        (Closed(0, 0, "the connection was closed"), False),
    ],
)
def test_only_some_codes_are_about_a_message(closed: Closed, about: bool) -> None:
    assert is_about_a_message(closed) is about
