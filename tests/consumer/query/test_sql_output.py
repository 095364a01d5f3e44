import csv
import io
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from consumer.errors import DeedboxError, Fatal
from consumer.query.arrow_events import ArrowEvents
from consumer.query.sql import Answer, ResultColumn, answered
from consumer.query.sql_output import ResultFormat, print_answer

TYPES = {
    "170141183460469231731687303715884105727::hugeint": b"170141183460469231731687303715884105727",
    "18446744073709551615::ubigint": b"18446744073709551615",
    "(-9223372036854775808)::bigint": b"-9223372036854775808",
    "1.50::decimal(10,2)": b"1.50",
    "123456789012345678901234567890123456.78::decimal(38,2)": b"123456789012345678901234567890123456.78",
    "1.5::double": b"1.5",
    "'nan'::double": b'"nan"',
    "'-inf'::double": b'"-inf"',
    "true": b"true",
    "null": b"null",
    "'a\"é'": '"a\\"é"'.encode(),
    "timestamptz '2026-11-21 16:15:00.123456Z'": b'"2026-11-21T16:15:00.123456Z"',
    "'infinity'::timestamptz": b'"infinity"',
    "'-infinity'::timestamptz": b'"-infinity"',
    "null::timestamptz": b"null",
    "timestamp '2026-11-21 16:15:00'": b'"2026-11-21T16:15:00"',
    "date '2026-11-21'": b'"2026-11-21"',
    "time '16:15:00'": b'"16:15:00"',
    "interval '2 days 3 hours'": b'"2 days, 3:00:00"',
    "[1, null, 3]": b"[1,null,3]",
    "{'a': 1, 'b': ['x'::blob]}": b'{"a":1,"b":[{"base64":"eA=="}]}',
    "map {1: 'x'}": b'{"1":"x"}',
    "'a'::enum('a', 'b')": b'"a"',
    "'0b9b2b6e-ffff-4c4e-8ddc-000000000001'::uuid": b'"0b9b2b6e-ffff-4c4e-8ddc-000000000001"',
}


def printed(query: str, format: ResultFormat, tmp_path: Path, width: int | None = None) -> bytes:
    out = io.BytesIO()
    with answered(query, ArrowEvents([tmp_path])) as answer:
        print_answer(answer, format, out, width)
    return out.getvalue()


@pytest.mark.parametrize(("sql", "expected"), TYPES.items())
def test_each_type_in_json_with_all_digits(tmp_path: Path, sql: str, expected: bytes) -> None:
    assert printed(f"select {sql} as x", ResultFormat.JSONL, tmp_path) == b'{"x":%b}\n' % expected


@pytest.mark.parametrize("levels", [300, 2000])
@pytest.mark.parametrize("format", ResultFormat)
def test_a_value_with_too_many_levels_is_an_error_in_one_line(
    tmp_path: Path, format: ResultFormat, levels: int
) -> None:
    value: object = 1
    for _ in range(levels):
        value = [value]
    answer = Answer([ResultColumn("n", "INTEGER[]")], iter([[(value,)]]))
    with pytest.raises(DeedboxError, match="more than 250 levels"):
        print_answer(answer, format, io.BytesIO())


def test_no_digit_of_a_time_in_nanoseconds_is_lost_silently(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="nanoseconds"):
        printed("select timestamp_ns '2026-01-01 00:00:00.123456789' as n", ResultFormat.JSONL, tmp_path)


def test_bytes_have_a_name_of_their_own_and_equal_names_get_numbers(tmp_path: Path) -> None:
    out = printed(
        "select 'x'::blob as body, null::blob as none, 1 as a, 2 as a, 3 as a_1", ResultFormat.JSONL, tmp_path
    )
    assert out == b'{"body_base64":"eA==","none_base64":null,"a":1,"a_1":2,"a_1_1":3}\n'


def test_csv_distinguishes_null_from_an_empty_text(tmp_path: Path) -> None:
    query = "from (values (1, null, ''), (2, 'a,b\"c\nd', 'é')) t(n, x, y)"
    out = printed(query, ResultFormat.CSV, tmp_path).decode()
    assert out == 'n,x,y\n1,,""\n2,"a,b""c\nd",é\n'
    assert list(csv.reader(io.StringIO(out, newline=""))) == [["n", "x", "y"], ["1", "", ""], ["2", 'a,b"c\nd', "é"]]


def test_csv_shows_lists_and_structures_as_json_and_bytes_as_base64(tmp_path: Path) -> None:
    query = "select [1,2] as l, {'a': 'x'} as s, 'x'::blob as b, 1.50::decimal(9,2) as d"
    assert printed(query, ResultFormat.CSV, tmp_path) == b'l,s,b_base64,d\n"[1,2]","{""a"":""x""}",eA==,1.50\n'


def test_a_table_is_aligned_and_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    query = "from (values (1, 'a'), (1000, chr(27) || '[2J'), (null, null)) t(n, x)"
    assert printed(query, ResultFormat.TABLE, tmp_path).decode() == "   n x\n   1 a\n1000 ·[2J\nNULL NULL\n"


@pytest.mark.parametrize("width", [30, 60, 100])
def test_a_table_fits_its_width(tmp_path: Path, width: int) -> None:
    query = "select 'short' as a, repeat('x', 80) as b, repeat('y', 40) as c, 12345678 as n"
    lines = printed(query, ResultFormat.TABLE, tmp_path, width).decode().splitlines()
    assert max(map(len, lines)) <= width
    assert lines[1].startswith("short xx")
    assert "…" in lines[1]


def test_a_table_without_rows_has_its_names(tmp_path: Path) -> None:
    for format, expected in ((ResultFormat.TABLE, b"a b\n"), (ResultFormat.CSV, b"a,b\n"), (ResultFormat.JSONL, b"")):
        assert printed("select 1 as a, 2 as b where false", format, tmp_path) == expected


def test_rows_are_written_as_they_come() -> None:
    out = io.BytesIO()

    def rows() -> Iterator[list[tuple[object, ...]]]:
        yield [(1,)]
        assert orjson.loads(out.getvalue()) == {"n": 1}
        yield [(2,)]

    print_answer(Answer([ResultColumn("n", "INTEGER")], rows()), ResultFormat.JSONL, out)
    assert out.getvalue() == b'{"n":1}\n{"n":2}\n'
