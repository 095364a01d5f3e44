import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.amqp import Field, Table, decode_header, encode_header, encode_table
from codec.errors import CodecError, Corrupt, Truncated
from codec.header_parts import (
    RawField,
    append_headers,
    edit_headers,
    elements_of,
    header_of,
    headers_in,
    pairs_of,
    parts_of,
)
from tests.codec.strategies import headers, tables
from tests.codec.test_amqp import FIELDS
from tests.support.messages import nested


@given(headers)
def test_a_header_is_the_sum_of_its_parts(properties: dict[str, object]) -> None:
    raw = encode_header(properties)
    parts = parts_of(raw)
    assert parts.keys() == properties.keys()
    assert header_of(parts) == raw
    assert header_of(dict(reversed(parts.items()))) == raw


@given(
    st.binary() | st.binary().map(lambda tail: b"\x20\x00" + tail) | st.binary().map(lambda tail: b"\xff\xfc" + tail)
)
def test_any_bytes_are_a_header_or_a_codec_error(raw: bytes) -> None:
    try:
        found = list(headers_in(raw))
    except CodecError:
        return
    assert b"".join(pair.raw for pair in found) == parts_of(raw).get("headers", b"")[4:]
    assert header_of(parts_of(raw)) == raw


@given(tables)
def test_the_pairs_of_a_table_have_its_names_and_its_bytes(table: Table) -> None:
    raw = encode_table(table)[4:]
    found = list(pairs_of(raw))
    assert [(pair.name, pair.field.kind) for pair in found] == [(name, field.kind) for name, field in table]
    assert b"".join(pair.raw for pair in found) == raw


@pytest.mark.parametrize(("field", "wire"), FIELDS, ids=[field.kind for field, _ in FIELDS])
def test_every_field_type_is_an_element_and_a_pair(field: Field, wire: bytes) -> None:
    value = wire[5:] if field.kind in "SxAF" else wire[1:]
    assert list(elements_of(wire + b"V")) == [RawField(field.kind, value), RawField("V", b"")]
    assert [pair.field for pair in pairs_of(b"\x01n" + wire)] == [RawField(field.kind, value)]
    for cut in range(1, len(wire)):
        with pytest.raises(Truncated):
            list(elements_of(wire[:cut]))


def test_a_header_of_any_depth_has_parts() -> None:
    """`decode_header` refuses it."""
    inner = b"\x01x" + b"A" + (0).to_bytes(4, "big")
    for _ in range(5000):
        inner = b"\x01x" + b"F" + len(inner).to_bytes(4, "big") + inner
    raw = b"\x20\x00" + len(inner).to_bytes(4, "big") + inner
    assert [pair.name for pair in headers_in(raw)] == ["x"]
    assert edit_headers(raw, lambda name: name != "x") == b"\x00\x00"


@pytest.mark.parametrize(
    ("raw", "error", "reason"),
    [
        (b"", Truncated, "0 bytes left, 2 expected"),
        (b"\x00\x01", Corrupt, "property flags 0x0001 found, no flags but those of the 14 properties expected"),
        (b"\x00\x00xy", Corrupt, "2 bytes found after the end"),
        (b"\x80\x00\x05ab", Truncated, "3 bytes left, 6 expected"),
        (b"\x20\x00\x00\x00\x00\x02\x00Q", Corrupt, "field type 'Q' found, one of RabbitMQ's types expected"),
    ],
)
def test_damage_is_named(raw: bytes, error: type[CodecError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        list(headers_in(raw))


def test_a_part_that_is_no_property_is_refused() -> None:
    with pytest.raises(Corrupt, match="property colour found"):
        header_of({"colour": b""})


@given(headers, st.sets(st.integers(0, 5)))
def test_an_edit_removes_what_it_names_and_nothing_else(properties: dict[str, object], removed: set[int]) -> None:
    raw = encode_header(properties)
    found = list(headers_in(raw))
    gone = {pair.name for number, pair in enumerate(found) if number in removed}
    edited = edit_headers(raw, lambda name: name not in gone)
    assert [pair.raw for pair in headers_in(edited)] == [pair.raw for pair in found if pair.name not in gone]
    others = {name: part for name, part in parts_of(raw).items() if name != "headers"}
    assert {name: part for name, part in parts_of(edited).items() if name != "headers"} == others
    if not gone:
        assert edited == raw


@given(headers)
def test_an_edit_adds_pairs_after_the_others(properties: dict[str, object]) -> None:
    """Also if the message had no headers."""
    raw = encode_header(properties)
    added = b"\x01nt\x01"
    edited = edit_headers(raw, lambda name: True, [added])
    assert [pair.raw for pair in headers_in(edited)] == [*(pair.raw for pair in headers_in(raw)), added]
    expected = properties | {"headers": (*properties.get("headers", ()), ("n", Field("t", True)))}  # type: ignore[misc]  # a table
    assert decode_header(edited) == expected


def test_an_edit_that_keeps_an_empty_table_changes_nothing() -> None:
    raw = encode_header({"headers": (), "priority": 3})
    assert edit_headers(raw, lambda name: name != "x-death") == raw


def test_kept_bytes_that_no_encoder_would_write_stay() -> None:
    """A boolean of 2, and a deep table."""
    table = b"\x01bt\x02" + encode_table((("deep", Field("F", nested(99))),))[4:]
    raw = b"\x20\x00" + len(table + b"\x01gV").to_bytes(4, "big") + table + b"\x01gV"
    assert edit_headers(raw, lambda name: name != "g") == b"\x20\x00" + len(table).to_bytes(4, "big") + table


@given(headers)
def test_appending_to_the_table_is_the_edit_that_keeps_everything(properties: dict[str, object]) -> None:
    raw = encode_header(properties)
    assert append_headers(raw, b"\x01nt\x01") == edit_headers(raw, lambda name: True, [b"\x01nt\x01"])


def test_appending_keeps_bytes_that_no_encoder_would_write() -> None:
    table = b"\x01bt\x02\x01bt\x02"
    raw = b"\xe0\x08\x03a/b\x00" + len(table).to_bytes(4, "big") + table + b"\x03app"
    appended = b"\xe0\x08\x03a/b\x00" + len(table + b"\x01nV").to_bytes(4, "big") + table + b"\x01nV\x03app"
    assert append_headers(raw, b"\x01nV") == appended


@pytest.mark.parametrize("raw", [b"", b"\0", b"\0\x01", b"\x80\0", b"\x80\0\x05a", b"\x20\0\0\0", b"\x20\0\0\0\0\x02a"])
def test_nothing_is_appended_to_damaged_bytes(raw: bytes) -> None:
    with pytest.raises(CodecError):
        append_headers(raw, b"\x01nV")
