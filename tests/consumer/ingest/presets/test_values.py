import pytest

from codec.amqp import Field, encode_header
from codec.event import format_time
from codec.limits import TEXT_CHARACTERS_MAX
from consumer.ingest.describe import describe
from consumer.ingest.presets import values
from tests.support.deliveries import delivery


def test_a_header_that_cannot_be_decoded_has_no_properties() -> None:
    assert values.properties_of(b"\x20\x00\x00\x00\x00\x09") == {}
    assert values.headers_of(b"") == ()
    assert values.headers_of(encode_header({"message_id": "m"})) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-29T02:30:15Z", "2026-11-29T02:30:15.000000Z"), ("2026-11-29t02:30:15.5z", "2026-11-29T02:30:15.500000Z"),
        ("2026-11-29T02:30:15.123456789+01:00", "2026-11-29T01:30:15.123456Z"), (" 2026-11-29T02:30:15Z ", "2026-11-29T02:30:15.000000Z"),
    ],
)  # fmt: skip
def test_times_of_rfc_3339_are_read(text: str, expected: str) -> None:
    found = values.instant_of_text(text)
    assert found is not None
    assert format_time(found) == expected


@pytest.mark.parametrize(
    "value", ["", "never", "2026-11-29T02:30:15", "0001-01-01T00:00:00+10:00", None, 5, b"2026-11-29T02:30:15Z"]
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert values.instant_of_text(value) is None


@pytest.mark.parametrize(
    ("value", "per_second", "expected"),
    [(5, 1, 5_000_000), (1.25, 1, 1_250_000), (1_795_919_415_123, 1000, 1_795_919_415_123_000), (-1, 1, -1_000_000)],
)
def test_numbers_of_seconds_and_of_parts_of_them_are_read(value: float, per_second: int, expected: int) -> None:
    assert values.instant_of_number(value, per_second) == expected


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 1e308, 10**400, 1e15, True, None, "5", (1 << 64) - 1]
)
def test_numbers_that_are_no_time_are_none(value: object) -> None:
    assert values.instant_of_number(value) is None


def test_only_fields_of_the_right_type_are_read() -> None:
    assert values.text_of(Field("S", b"a\xff")) == "a\udcff"
    assert values.text_of(Field("x", b"a")) == "a"
    assert values.text_of(Field("l", 5)) == values.text_of(Field("F", ())) == values.text_of(Field("F", b"raw")) == ""
    assert values.text_of(Field("S", b"x" * (TEXT_CHARACTERS_MAX + 1))) == ""
    assert values.table_of(Field("A", (Field("S", b"a"),))) == values.table_of(Field("F", b"raw")) == ()
    assert values.texts_of(Field("A", (Field("S", b"a"), Field("l", 5)))) == ["a"]
    assert values.texts_of(Field("A", b"raw")) == values.texts_of(Field("F", (("a", Field("S", b"b")),))) == []
    assert values.number_of(Field("t", True)) is values.number_of(Field("d", 1.5)) is None


def test_refining_keeps_what_was_not_found_and_adds_each_tag_once() -> None:
    event = describe(delivery(1))._replace(id="i", type="t", tags=("a",))
    assert values.refine(event) == event
    assert values.refine(event, tags=["b", "a", "b"]).tags == ("a", "b")
    assert values.refine(event, tags=["x" * (values.TAG_CHARACTERS_MAX + 1)]).tags == ("a",)
    assert len(values.refine(event, tags=map(str, range(500))).tags) == values.TAGS_MAX
