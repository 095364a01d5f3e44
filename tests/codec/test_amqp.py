import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import amqp
from codec.amqp import Decimal, Field, decode_header, decode_table, encode_header, encode_table, identify
from codec.errors import CodecError, Corrupt, TooLarge, Truncated
from tests.codec.strategies import headers, tables

# Every type that RabbitMQ reads and writes: the field, and its bytes after the name.
FIELDS = [
    (Field("t", True), b"t\x01"),
    (Field("b", -2), b"b\xfe"),
    (Field("B", 254), b"B\xfe"),
    (Field("s", -2), b"s\xff\xfe"),
    (Field("u", 65534), b"u\xff\xfe"),
    (Field("I", -2), b"I\xff\xff\xff\xfe"),
    (Field("i", 4294967294), b"i\xff\xff\xff\xfe"),
    (Field("l", -2), b"l" + b"\xff" * 7 + b"\xfe"),
    (Field("f", 0.5), b"f\x3f\x00\x00\x00"),
    (Field("d", 0.5), b"d\x3f\xe0\x00\x00\x00\x00\x00\x00"),
    (Field("D", Decimal(2, 314)), b"D\x02\x00\x00\x01\x3a"),
    (Field("S", b"ab"), b"S\x00\x00\x00\x02ab"),
    (Field("x", b"\x00\xff"), b"x\x00\x00\x00\x02\x00\xff"),
    (Field("T", 1), b"T\x00\x00\x00\x00\x00\x00\x00\x01"),
    (Field("V", None), b"V"),
    (Field("A", (Field("t", False), Field("V", None))), b"A\x00\x00\x00\x03t\x00V"),
    (Field("F", (("k", Field("t", True)),)), b"F\x00\x00\x00\x04\x01kt\x01"),
]


@pytest.mark.parametrize(("field", "wire"), FIELDS, ids=[field.kind for field, _ in FIELDS])
def test_every_field_type_has_these_bytes_both_ways(field: Field, wire: bytes) -> None:
    raw = (len(wire) + 2).to_bytes(4, "big") + b"\x01n" + wire
    assert encode_table((("n", field),)) == raw
    assert decode_table(raw) == (("n", field),)


@pytest.mark.parametrize(("field", "wire"), FIELDS, ids=[field.kind for field, _ in FIELDS])
def test_a_field_cut_anywhere_is_a_codec_error(field: Field, wire: bytes) -> None:
    for cut in range(len(wire)):
        inner = b"\x01n" + wire[:cut]
        with pytest.raises(CodecError):
            decode_table(len(inner).to_bytes(4, "big") + inner)


@given(tables)
def test_tables_round_trip(table: amqp.Table) -> None:
    assert decode_table(encode_table(table)) == table


@given(headers)
def test_headers_round_trip_to_the_byte(properties: dict[str, object]) -> None:
    raw = encode_header(properties)
    assert decode_header(raw) == properties
    assert encode_header(decode_header(raw)) == raw


@given(st.binary() | st.binary().map(lambda tail: b"\xff\xfc" + tail))
def test_any_bytes_are_a_header_or_a_codec_error(raw: bytes) -> None:
    try:
        decode_header(raw)
    except CodecError:
        pass
    identify(raw)


@given(headers)
def test_identify_agrees_with_decoding(properties: dict[str, object]) -> None:
    message_id, timestamp_s, kind = identify(encode_header(properties))
    assert message_id == properties.get("message_id", "")
    assert timestamp_s == properties.get("timestamp")
    assert kind == properties.get("type", "")


def test_repeated_names_and_their_order_are_kept() -> None:
    table = (("b", Field("V", None)), ("a", Field("V", None)), ("b", Field("t", True)))
    assert decode_table(encode_table(table)) == table


def test_text_that_is_not_utf8_survives() -> None:
    raw = encode_header({"message_id": amqp.decode_text(b"\xed\xa0\x80\xff")})
    assert amqp.encode_text(str(decode_header(raw)["message_id"])) == b"\xed\xa0\x80\xff"


def test_tables_twenty_deep_are_read_and_a_thousand_deep_are_refused() -> None:
    for depth in (20, amqp.TABLE_DEPTH_MAX):
        assert decode_table(_nested(depth))
    with pytest.raises(TooLarge, match="nested more than 100 levels deep"):
        decode_table(_nested(1000))


def _nested(depth: int) -> bytes:
    raw = b"\0\0\0\0"
    for _ in range(depth):
        inner = b"\x01kF" + raw
        raw = len(inner).to_bytes(4, "big") + inner
    return raw


def test_unknown_flags_and_types_and_trailing_bytes_are_reported() -> None:
    with pytest.raises(Corrupt, match="0x0001"):
        decode_header(b"\x00\x01")
    with pytest.raises(Corrupt, match="'z'"):
        decode_table(b"\0\0\0\x03\x01nz")
    with pytest.raises(Corrupt, match="2 bytes found after the end"):
        decode_header(b"\x00\x00xx")
    with pytest.raises(Truncated):
        decode_header(b"\x80")


def test_values_that_amqp_cannot_hold_are_refused() -> None:
    with pytest.raises(TooLarge, match="256 bytes, at most 255 allowed"):
        encode_header({"type": "x" * 256})
    with pytest.raises(TooLarge):
        encode_table((("n", Field("b", 128)),))
    with pytest.raises(Corrupt, match="property nonsense found, one of content_type"):
        encode_header({"nonsense": 1})
    with pytest.raises(Corrupt):
        encode_table((("n", Field("S", 5)),))
