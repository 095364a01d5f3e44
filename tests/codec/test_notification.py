import pytest

from codec.event import parse_time
from codec.notification import Description, describe_body

PLAIN = b'{"message_id":"m","event_type":"a.b","timestamp":"2026-11-20 00:00:01.5"}'
DESCRIPTION = Description("m", "a.b", parse_time("2026-11-20T00:00:01.5Z"))


def test_a_notification_gives_id_type_and_time() -> None:
    assert describe_body(PLAIN) == DESCRIPTION


def test_a_notification_in_an_envelope_gives_the_same() -> None:
    assert describe_body(b'{"oslo.version":"2.0","oslo.message":"%b"}' % PLAIN.replace(b'"', b'\\"')) == DESCRIPTION


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", b"7", b"null", b'"oslo.message"', b'{"oslo.message":7}', b'{"oslo.message":"["}', b"{}"],
)
def test_a_body_that_is_no_notification_gives_an_empty_description(body: bytes) -> None:
    assert describe_body(body) == Description()


def test_members_of_another_type_are_ignored() -> None:
    assert describe_body(b'{"message_id":7,"event_type":null,"timestamp":"soon"}') == Description()
