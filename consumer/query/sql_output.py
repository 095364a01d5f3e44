"""Print the answer of a query as JSON lines, CSV or a table.

Invariants: no digit of a number is lost. Times are ISO 8601; those with a time zone are in UTC. A column of bytes has the name
`NAME_base64`, and bytes within a list or a structure are `{"base64": …}`, as in the JSON lines of events. A table is at most as wide as
the terminal; its widths are those of the first rows, so that rows are printed as they come.
"""

import shutil
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import chain
from math import isfinite
from typing import Any, BinaryIO

import orjson

from codec.event import EPOCH, format_time
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.query.show import NO_TERMINAL, fit
from consumer.query.sql import Answer, Row

INTEGER_MAX = 1 << 63
CELL_MIN = 8  # characters of a column of a table that is reduced
_UNCHANGED = {"VARCHAR", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_SPECIAL = frozenset(',"\r\n')
_NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "BIGNUM")


class ResultFormat(StrEnum):
    """How an answer is printed. The values are those of `--format`."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


def print_answer(answer: Answer, format: ResultFormat, out: BinaryIO, width: int | None = None) -> None:
    """Write the rows as they come. `width`: characters of a line of a table; None: the width of the terminal.

    Raises Fatal for a column that Python cannot represent, and DeedboxError for a value with too many levels.
    """
    _refuse_nanoseconds(answer)
    try:
        _print(replace(answer, rows=_with_infinity(answer)), format, out, width)
    except (orjson.JSONEncodeError, RecursionError) as error:
        what = "the answer has a value with more than 250 levels of lists and structures"
        raise DeedboxError(what, "select parts of it, or its text: value::varchar") from error


def _print(answer: Answer, format: ResultFormat, out: BinaryIO, width: int | None) -> None:
    if format is ResultFormat.TABLE:
        _print_table(answer, out, width or shutil.get_terminal_size(NO_TERMINAL).columns)
        return
    line = _json_line(answer) if format is ResultFormat.JSONL else _csv_line
    if format is ResultFormat.CSV:
        out.write(_csv_line(_names(answer)))
    for rows in answer.rows:
        out.writelines(map(line, rows))


def _refuse_nanoseconds(answer: Answer) -> None:
    """DuckDB gives such times to Python without their last three digits."""
    for column in answer.columns:
        if "TIMESTAMP_NS" in column.type:
            what = f"column {column.name} has times in nanoseconds, of which three digits would be lost"
            raise Fatal(Exit.SETTINGS, what, f'select its text: "{column.name}"::varchar')


def _with_infinity(answer: Answer) -> Iterator[list[Row]]:
    """The rows, with `infinity` and `-infinity` as text. DuckDB gives them as the last and the first time of Python, without a zone."""
    zoned = [index for index, column in enumerate(answer.columns) if column.type == "TIMESTAMP WITH TIME ZONE"]
    for rows in answer.rows:
        yield [_finite(row, zoned) for row in rows] if zoned else rows


def _finite(row: Row, zoned: Sequence[int]) -> Row:
    values = list(row)
    for index in zoned:
        if (value := values[index]) is not None and value.tzinfo is None:
            values[index] = "infinity" if value.year > 1 else "-infinity"
    return tuple(values)


def _names(answer: Answer) -> list[str]:
    """The names of the columns. A name that was there before gets a number."""
    names: dict[str, None] = {}
    for column in answer.columns:
        name = wanted = f"{column.name}_base64" if column.type == "BLOB" else column.name
        number = 1
        while name in names:
            name, number = f"{wanted}_{number}", number + 1
        names[name] = None
    return list(names)


def _json_line(answer: Answer) -> Callable[[Row], bytes]:
    names = _names(answer)
    converted = [index for index, column in enumerate(answer.columns) if column.type not in _UNCHANGED]

    def line(row: Row) -> bytes:
        values = list(row)
        for index in converted:
            values[index] = _top(values[index])
        return orjson.dumps(dict(zip(names, values, strict=True)), option=orjson.OPT_APPEND_NEWLINE)

    return line


def _top(value: Any) -> Any:  # noqa: ANN401 -- a value of any type of DuckDB
    return _base64(value) if isinstance(value, bytes) else to_json(value)


def to_json(value: Any) -> Any:  # noqa: ANN401 -- a value of any type of DuckDB
    """A value of DuckDB as a value that orjson writes."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -INTEGER_MAX <= value < INTEGER_MAX else orjson.Fragment(str(value))
        case float():
            return value if isfinite(value) else str(value)
        case Decimal():
            return orjson.Fragment(format(value, "f"))
        case bytes():
            return {"base64": _base64(value)}
        case datetime():
            return _instant(value)
        case date() | time():
            return value.isoformat()
        case dict():
            return {_key(name): to_json(inner) for name, inner in value.items()}
        case list() | tuple():
            return list(map(to_json, value))
    return str(value)  # a duration, a UUID


def _key(value: object) -> str:
    return value if isinstance(value, str) else _cell(value)


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def _instant(value: datetime) -> str:
    """A time with a zone as the JSON lines of events show it; a time without one has no zone."""
    if value.tzinfo is None:
        return value.isoformat()
    return format_time((value - EPOCH) // timedelta(microseconds=1))


def _cell(value: object, null: str = "NULL") -> str:
    """A value as text."""
    shown = _top(value)
    if shown is None:
        return null
    return shown if isinstance(shown, str) else orjson.dumps(shown).decode()


def _csv_line(row: Iterable[object]) -> bytes:
    """A line of CSV (RFC 4180, with a line feed). NULL is an empty field, and an empty text is `""`."""
    return (",".join(map(_csv_field, row)) + "\n").encode()


def _csv_field(value: object) -> str:
    text = _cell(value, "")
    if value is not None and (not text or not _SPECIAL.isdisjoint(text)):
        return '"' + text.replace('"', '""') + '"'
    return text


def _print_table(answer: Answer, out: BinaryIO, width: int) -> None:
    first = next(answer.rows, [])
    names = _names(answer)
    shown = [list(map(_cell, row)) for row in first]
    widths = _widths([names, *shown], width)
    right = [any(kind in column.type for kind in _NUMBERS) and column.type[-1:] != "]" for column in answer.columns]

    def line(cells: Sequence[str]) -> bytes:
        fitted = (_aligned(cell, size, after) for cell, size, after in zip(cells, widths, right, strict=True))
        return " ".join(fitted)[:width].rstrip().encode("utf-8", "replace") + b"\n"

    out.write(line(names))
    for rows in chain([shown], ([list(map(_cell, row)) for row in rows] for rows in answer.rows)):
        out.writelines(map(line, rows))


def _aligned(cell: str, size: int, right: bool) -> str:
    shown = fit(cell, size)
    return shown.rstrip().rjust(size) if right else shown


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The width of each column: that of its longest cell, reduced for the widest columns first until a line fits."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + len(widths) - 1 > width and max(widths) > CELL_MIN:
        widest = widths.index(max(widths))
        others = max((size for size in widths if size < widths[widest]), default=0)
        excess = sum(widths) + len(widths) - 1 - width
        widths[widest] -= min(excess, max(widths[widest] - max(others, CELL_MIN), 1))
    return widths
