from datetime import UTC, timedelta, timezone

import pytest

from codec.amqp import Field, encode_header
from consumer.errors import Fatal
from consumer.query.columns import fitted, parse_columns
from tests.support.archive_logs import event

EVENT = event(7)._replace(
    body=b'{"payload":{"size":10,"name":"a","list":[1,null]},"type":"inner","oslo.message":"{\\"x\\":1}"}',
    tags=("a", "b"),
    header=encode_header({"headers": (("retries", Field("I", 3)),), "app_id": "nova"}),
)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("id", "id-7"),
        ("type", EVENT.type),
        ("body.type", "inner"),
        ("tags", "a,b"),
        ("redelivered", "false"),
        ("duplicate", ""),
        ("position", "one-00000001:7"),
        ("time", "2025-11-21T16:15:00.000007Z"),
        ("arrived", "2025-11-21T16:15:00.000007Z"),
        ("headers.retries", "3"),
        ("properties.app_id", "nova"),
        ("payload.size", "10"),
        ("payload.name", "a"),
        ("payload.list", "[1,null]"),
        ("payload.list.1", "null"),
        ("x", "1"),
        ("payload.missing", ""),
    ],
)
def test_a_column_shows_a_field_of_the_event_the_delivery_or_the_body(column: str, text: str) -> None:
    (found,) = parse_columns(column)
    assert (found.name, found.show(EVENT, "one-00000001:7")) == (column, text)


def test_a_body_that_is_not_json_has_no_fields() -> None:
    (found,) = parse_columns("payload.size")
    assert found.show(EVENT._replace(body=b"text"), "") == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ('[{"a":123456789012345678901234567890}]', '[{"a":123456789012345678901234567890}]'),
        ('["\\ud800",1]', '["\ud800",1]'),
        ("9" * 5000, "9" * 5000),
        ("[" * 300 + "]" * 300, "[" * 300 + "]" * 300),
    ],
    ids=["number", "number in a list", "surrogate", "5000 digits", "300 levels"],
)
def test_json_that_few_parsers_accept_is_shown(value: str, text: str) -> None:
    """One such message ended the command with a traceback."""
    (found,) = parse_columns("n")
    assert found.show(EVENT._replace(body=f'{{"n":{value}}}'.encode()), "") == text


def test_json_with_more_levels_than_python_can_write_is_not_shown() -> None:
    """Python 3.12 and later write it."""
    levels = "[" * 1000 + "]" * 1000
    (found,) = parse_columns("n")
    assert found.show(EVENT._replace(body=f'{{"n":{levels}}}'.encode()), "") in ("(too many levels)", levels)


def test_names_are_separated_by_commas_and_keep_their_order() -> None:
    assert [column.name for column in parse_columns("type, id,headers.x")] == ["type", "id", "headers.x"]


def test_a_column_of_times_has_room_for_the_offset_of_a_zone() -> None:
    east = timezone(timedelta(hours=2))
    (utc,), (zoned,) = parse_columns("time", UTC), parse_columns("time", east)
    assert len(zoned.show(EVENT, "")) == zoned.width == utc.width + 5


@pytest.mark.parametrize("text", ["", "id,,type", "a=b", "payload.size>=10"])
def test_a_name_that_is_not_a_column_is_refused(text: str) -> None:
    with pytest.raises(Fatal, match="is not the name of a column; use arrived, body, duplicate, exchange, id, "):
        parse_columns(text)


def test_a_property_that_amqp_does_not_have_is_refused() -> None:
    with pytest.raises(Fatal, match="AMQP has no property 'size'"):
        parse_columns("properties.size")


@pytest.mark.parametrize("text", ["headers.", "properties.nosuch", ".a"])
def test_an_error_names_the_column_as_it_was_written(text: str) -> None:
    with pytest.raises(Fatal, match=f"^--columns: '{text}'"):
        parse_columns(text)


@pytest.mark.parametrize(
    ("text", "width", "widths"),
    [
        ("time,position,type,body", 80, [27, 16, 18, 60]),
        ("time,position,type,body", 60, [27, 16, 12, 60]),
        ("time,position,type,body", 98, [27, 24, 28, 60]),
        ("time,type,headers.tenant,payload.size", 80, [27, 14, 20, 20]),
    ],
)
def test_other_columns_leave_room_for_the_last_one(text: str, width: int, widths: list[int]) -> None:
    assert [column.width for column in fitted(parse_columns(text), width)] == widths


@pytest.mark.parametrize("text", ["a..b", "a.", "n[0]", "n[]"])
def test_a_path_that_no_field_has_is_refused(text: str) -> None:
    """The column was empty in every row, without a message."""
    with pytest.raises(Fatal, match="is not the path of a field; separate names by one dot"):
        parse_columns(text)


def test_a_header_may_have_any_name() -> None:
    assert parse_columns("headers.a..b[0]")[0].name == "headers.a..b[0]"
