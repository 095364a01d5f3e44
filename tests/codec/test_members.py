from codec.event import Event
from codec.members import arrival, flags_and_tags, id_in_key, quoted_body
from codec.profiles import HOST, WIRE

EVENT = Event("id", "t", 1, 1, "", "", b"", b"", redelivered=True, duplicate="a1-00000007:41", tags=("x", "y"))


def test_a_body_is_text_unless_base64_is_shorter_or_it_is_not_utf_8() -> None:
    assert quoted_body(b"text") == (b"", b'"text"')
    assert quoted_body(b"\xff") == (b',"encoding":"base64"', b'"/w=="')
    assert quoted_body(bytes(1000))[0] == b',"encoding":"base64"'


def test_only_the_profile_wire_omits_an_id_that_the_key_holds_and_an_equal_arrival_time() -> None:
    assert (id_in_key("id", WIRE), id_in_key("a|b", WIRE), id_in_key("id", HOST)) == (True, False, False)
    assert (arrival(EVENT, WIRE), arrival(EVENT._replace(arrived_us=2), WIRE), arrival(EVENT, HOST)) == (None, 2, 1)


def test_flags_and_tags_are_present_only_if_set() -> None:
    assert flags_and_tags(EVENT, False) == b',"redelivered":true,"duplicate":"a1-00000007:41","tags":["x","y"]'
    assert flags_and_tags(Event("", "", 0, 0, "", "", b"", b""), False) == b""
