import orjson
import pytest
from hypothesis import given

from codec import jsonl
from codec.amqp import Decimal, Field, encode_header
from codec.errors import Corrupt
from codec.event import Event
from tests.codec.strategies import events
from tests.codec.test_amqp import FIELDS

EVENT = Event(
    "id",
    "type",
    0,
    1_000_000,
    "ex",
    "key",
    encode_header({"content_type": "text/plain"}),
    b"text",
    True,
    "",
    ("a", "b"),
)


@given(events)
def test_every_event_is_one_line_of_json(event: Event) -> None:
    line = jsonl.encode(event, "host-00000001:0")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found = orjson.loads(line)
    assert found["position"] == "host-00000001:0"
    assert ("body" in found) != ("body_base64" in found)


def test_a_line_holds_every_member_of_an_event() -> None:
    assert orjson.loads(jsonl.encode(EVENT, "a:0")) == {
        "id": "id", "type": "type", "time": "1970-01-01T00:00:00.000000Z", "tags": ["a", "b"], "exchange": "ex", "routing_key": "key",
        "redelivered": True, "arrived": "1970-01-01T00:00:01.000000Z", "properties": {"content_type": "text/plain"}, "headers": {},
        "body": "text", "position": "a:0",
    }  # fmt: skip


def test_binary_bodies_are_base64_and_duplicates_have_their_member() -> None:
    found = orjson.loads(jsonl.encode(EVENT._replace(body=b"\xff", duplicate="a1-00000007:41"), "a:0"))
    assert (found["body_base64"], found["duplicate"]) == ("/w==", "a1-00000007:41")


@pytest.mark.parametrize("mark", [True, "somewhere", "a1-7:41", 7])
def test_a_duplicate_in_a_line_must_be_a_position(mark: object) -> None:
    line = orjson.loads(jsonl.encode(EVENT, "a:0")) | {"duplicate": mark}
    with pytest.raises(Corrupt, match=r"duplicate .* found, .*a1-00000007:41 expected"):
        jsonl.decode(orjson.dumps(line))


def test_every_header_type_has_a_json_value() -> None:
    headers = tuple((field.kind, field) for field, _ in FIELDS)
    odd = (("nan", Field("d", float("nan"))), ("far", Field("T", 1 << 60)), ("raw", Field("S", b"\xff")))
    found = orjson.loads(jsonl.encode(EVENT._replace(header=encode_header({"headers": headers + odd})), "a:0"))[
        "headers"
    ]
    assert found == {
        "t": True, "b": -2, "B": 254, "s": -2, "u": 65534, "I": -2, "i": 4294967294, "l": -2, "f": 0.5, "d": 0.5, "D": "314e-2",
        "S": "ab", "x": {"base64": "AP8="}, "T": "1970-01-01T00:00:01.000000Z", "V": None, "A": [False, None], "F": {"k": True},
        "nan": "nan", "far": 1 << 60, "raw": {"base64": "/w=="},
    }  # fmt: skip
    assert Decimal(2, 314) == (2, 314)


def test_a_header_that_cannot_be_decoded_is_shown_in_base64() -> None:
    found = orjson.loads(jsonl.encode(EVENT._replace(header=b"\x00\x01junk"), "a:0"))
    assert found["header_base64"] == "AAFqdW5r"


@given(events)
def test_an_exact_line_gives_the_same_event_back(event: Event) -> None:
    assert jsonl.decode(jsonl.encode(event, "a:0", exact=True)) == event


def test_a_line_without_the_exact_header_gives_the_header_that_it_shows() -> None:
    headers = (("n", Field("l", 7)), ("s", Field("S", b"x")), ("deep", Field("F", (("on", Field("t", True)),))))
    event = EVENT._replace(header=encode_header({"content_type": "text/plain", "headers": headers}))
    assert jsonl.decode(jsonl.encode(event, "a:0")) == event


@pytest.mark.parametrize("line", [b"{}", b"[]", b'{"position":"x"}', b"7", b"not JSON"])
def test_a_line_of_another_program_is_no_event(line: bytes) -> None:
    assert jsonl.decode(line) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"time":"1970', b'"time":"197'), (b'"id":"id"', b'"id":7'), (b'"body"', b'"bdy"'), (b'"tags":[', b'"tags":7,"x":[')],
)  # fmt: skip
def test_a_damaged_line_is_reported(old: bytes, new: bytes) -> None:
    with pytest.raises(Corrupt):
        jsonl.decode(jsonl.encode(EVENT, "a:0").replace(old, new, 1))


def test_json_values_become_fields() -> None:
    values = [None, True, 7, 1 << 70, 0.5, "x", [1], {"a": None}]
    assert [jsonl.field_of(value).kind for value in values] == ["V", "t", "l", "S", "d", "S", "A", "F"]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a": [1,\r\n 2.50]}', b'"body_json":{"a": [1,   2.50]}'),
        (b"12345678901234567890123.0e1", b'"body_json":12345678901234567890123.0e1'),
        (b'"text"', b'"body_json":"text"'),
        (b"null", b'"body_json":null'),
        (b"text", b'"body":"text"'),
        (b"", b'"body":""'),
        (b'{"a":1} x', b'"body":"{\\"a\\":1} x"'),
        (b"NaN", b'"body":"NaN"'),
        (b'"\xff"', b'"body_base64":"Iv8i"'),
    ],
)
def test_a_body_that_is_json_can_be_shown_as_json(body: bytes, shown: bytes) -> None:
    """Numbers keep all digits. Everything else stays text or base64."""
    line = jsonl.encode(EVENT._replace(body=body), "a:0", json_body=True)
    assert shown in line
    assert line.count(b"\n") == 1
    assert len({"body", "body_json", "body_base64"} & orjson.loads(line).keys()) == 1


def test_a_body_that_is_too_long_to_be_parsed_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "PARSED_BYTES_MAX", 3)
    assert b'"body":"1234"' in jsonl.encode(EVENT._replace(body=b"1234"), "a:0", json_body=True)
    assert b'"body_json":123' in jsonl.encode(EVENT._replace(body=b"123"), "a:0", json_body=True)


def test_a_line_with_a_parsed_body_is_not_an_event() -> None:
    """The bytes of the body are not in it."""
    with pytest.raises(Corrupt, match="print it again without --json-body"):
        jsonl.decode(jsonl.encode(EVENT._replace(body=b"{}"), "a:0", json_body=True))
