"""Conditions on fields of an event: `payload.tenant_id=123`, `headers.retries>=3`, `properties.app_id=nova`. Pure.

A field is searched in the JSON body. A field that begins with `headers.` or `properties.` is searched in the delivery first, and one that
begins with `body.` also without that prefix. If the body is an oslo envelope, the notification in it is searched too. A missing field fulfils
only `!=`; a body that is not a JSON object has no fields. `<`, `<=`, `>` and `>=` need a number or a time as their value. Numbers are
compared as numbers, times as times, and everything else as text.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

import orjson

from codec.amqp import PROPERTIES
from codec.errors import CodecError
from codec.event import format_time
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.query.when import parse_when

Source = tuple[str, tuple[str, ...]]  # `body`, `headers` or `properties`, and the path of a field there

_CONDITION = re.compile(r"(?P<path>[^=!<>]*?[^=!<>~\s])\s*(?P<operator>[=!<>~]*[=!<>][=!<>~]*)(?P<value>.*)", re.DOTALL)
_LONG_NUMBER = re.compile(rb"[0-9]{19}")  # may have more than 64 bits; orjson reads such a number as a float
_LONG = 1 << 63
_DIGITS_MAX = 4300
_INDEX = re.compile(r"[0-9]{1,9}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")


class Operator(StrEnum):
    """The operator of a condition, as it is written."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


_TEST_OF_ORDER: dict[Operator, Callable[[int], bool]] = {
    Operator.EQUAL: lambda order: order == 0, Operator.NOT_EQUAL: lambda order: order != 0,
    Operator.LESS: lambda order: order < 0, Operator.LESS_OR_EQUAL: lambda order: order <= 0,
    Operator.GREATER: lambda order: order > 0, Operator.GREATER_OR_EQUAL: lambda order: order >= 0,
}  # fmt: skip
MISSING = object()  # no such field; None is the null of JSON
_TIMESTAMP: Source = (
    "properties",
    ("timestamp",),
)  # a number of seconds since 1970, which a person compares with a time
T = TypeVar("T", Decimal | int, int, str)


@dataclass(frozen=True, slots=True)
class Condition:
    """A field, an operator and a value. `sources`: where the field may be; the first source that has it counts."""

    sources: tuple[Source, ...]
    operator: Operator
    value: str

    @property
    def reads_delivery(self) -> bool:
        """Whether the condition needs the headers or properties of an event."""
        return any(place != "body" for place, _ in self.sources)

    @property
    def reads_long_numbers(self) -> bool:
        """Whether integers of more than 64 bits must be exact. For a shorter value, a rounded integer gives the same result."""
        number = _number(self.value)
        return number is not None and not number.is_nan() and number.copy_abs() >= _LONG

    def holds(self, body: object, delivery: Mapping[str, object] | None = None) -> bool:
        """Whether an event fulfils the condition. `body`: its decoded body. `delivery`: its `headers` and `properties`."""
        found = self.find(body, delivery)
        if found is MISSING:
            return self.operator is Operator.NOT_EQUAL
        order = compare(found, self.value)
        return self.operator is Operator.NOT_EQUAL if order is None else _TEST_OF_ORDER[self.operator](order)

    def find(self, body: object, delivery: Mapping[str, object] | None = None) -> object:
        """The value of the field in an event; MISSING if it has no such field. The arguments are those of `holds`."""
        places = {"body": body} if delivery is None else {**delivery, "body": body}
        found = MISSING
        for place, path in self.sources:
            if found is MISSING:
                found = _field(places.get(place), path)
                found = _as_time(found) if (place, path) == _TIMESTAMP and _TIME.fullmatch(self.value) else found
        if found is MISSING and isinstance(body, dict) and isinstance(inner := body.get("oslo.message"), str):
            whole = loads(inner, self.reads_long_numbers)
            return next((_field(whole, path) for place, path in self.sources if place == "body"), MISSING)
        return found


def parse_condition(text: str) -> Condition:
    """Parse a condition such as `payload.tenant_id=123`. Raises Fatal."""
    path, operator, value = _split(text, "payload.size>=10")
    return Condition(_sources(path, text), operator, value)


def parse_header(text: str) -> Condition:
    """Parse a condition on a header such as `retries>=3`. Raises Fatal."""
    path, operator, value = _split(text, "retries>=3")
    return Condition((("headers", path),), operator, value)


def _split(text: str, example: str) -> tuple[tuple[str, ...], Operator, str]:
    """Path, operator and value of a condition. `example`: a valid condition for the error text. Raises Fatal."""
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise Fatal(
            Exit.SETTINGS, f"{text!r} is no condition", f"write a field, one of = != < <= > >= and a value: {example}"
        )
    if match["operator"] not in list(Operator):
        raise Fatal(
            Exit.SETTINGS,
            f"{text!r} has the operator {match['operator']!r}, which is none of = != < <= > >=",
            "put a space before a value that begins with one of =!<>~; --match takes regular expressions",
        )
    operator, value = Operator(match["operator"]), match["value"].strip()
    if operator not in (Operator.EQUAL, Operator.NOT_EQUAL) and not _has_order(value):
        raise Fatal(
            Exit.SETTINGS,
            f"{text!r} compares with {value!r}, which is no number and no time",
            f"with {operator} write a number or an ISO 8601 time: {example}, timestamp>=2026-11-21; texts have only = and !=",
        )
    path = match["path"].strip()
    if path.startswith("."):
        raise Fatal(
            Exit.SETTINGS,
            f"{text!r} names no field: it begins with a dot",
            f"write {path[1:] or 'a field'} without the dot, or body.{path} for a name that begins with one",
        )
    return tuple(path.split(".")), operator, value


def _has_order(value: str) -> bool:
    """Whether a value is a number or a time."""
    try:
        return not Decimal(value).is_nan()
    except InvalidOperation:
        pass  # no number
    try:
        return _TIME.fullmatch(value) is not None and parse_when(value, 0) is not None
    except DeedboxError:
        return False


def _sources(path: tuple[str, ...], text: str) -> tuple[Source, ...]:
    """The sources of a condition's field. Raises Fatal if it names no header, or no property of AMQP."""
    place, inner = path[0], path[1:]
    if place == "body" and inner:
        return ("body", path), ("body", inner)
    if place not in ("headers", "properties"):
        return (("body", path),)
    names = [name for name, _, _ in PROPERTIES if name != "headers"]
    if not inner or not inner[0]:
        raise Fatal(Exit.SETTINGS, f"{text!r} names none of the {place}", f"write {place}.NAME, or body.{place}")
    if place == "properties" and inner[0] not in names:
        raise Fatal(
            Exit.SETTINGS,
            f"{text!r}: AMQP has no property {inner[0]!r}, only {', '.join(names)}",
            f"write body.{'.'.join(path)} for a field of the body",
        )
    return (place, inner), ("body", path)


def loads(body: bytes | str, exact: bool = True) -> object:
    """A JSON value; None if the body is not JSON. NaN and lone surrogates, which Python writes, are read too.

    `exact`: integers of more than 64 bits are not rounded, which doubles the time.
    """
    try:
        if not exact or not _LONG_NUMBER.search(
            body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        ):
            return orjson.loads(body)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        pass  # the parser of the standard library accepts more
    try:
        return json.loads(body, parse_int=_integer)
    except (ValueError, RecursionError):
        return None


def _integer(digits: str) -> int | Decimal:
    """An integer of any length. `int` refuses very long ones."""
    return int(digits) if len(digits) < _DIGITS_MAX else Decimal(digits)


def _field(value: object, path: tuple[str, ...]) -> object:
    """The value at a path, or _MISSING. A name may contain dots: the longest existing name is used."""
    if not path:
        return value
    if isinstance(value, dict):
        for size in range(len(path), 0, -1):
            if (name := ".".join(path[:size])) in value:
                return _field(value[name], path[size:])
    if isinstance(value, list) and _INDEX.fullmatch(path[0]) and int(path[0]) < len(value):
        return _field(value[int(path[0])], path[1:])
    return MISSING


def _as_time(found: object) -> object:
    """A number of seconds since 1970 as a time. Any other value, and a time outside the calendar, is returned unchanged."""
    try:
        return format_time(found * 1_000_000) if isinstance(found, int) else found
    except CodecError:
        return found


def compare(found: object, wanted: str) -> int | None:
    """-1, 0 or 1 if the found value is less than, equal to or greater than the wanted one; None if they cannot be compared."""
    if isinstance(found, bool) or found is None:
        return 0 if {True: "true", False: "false", None: "null"}[found] == wanted.lower() else None
    if isinstance(found, int | float | Decimal):
        return _compare_numbers(found, wanted)
    if not isinstance(found, str):
        return None
    if _TIME.fullmatch(found) and _TIME.fullmatch(wanted):
        try:
            return _sign(parse_when(found, 0, UTC), parse_when(wanted, 0, UTC))
        except DeedboxError:
            pass  # text that is not a valid time
    return _sign(found, wanted)


def _compare_numbers(found: int | float | Decimal, wanted: str) -> int | None:
    """`compare` for numbers. NaN equals NaN, and cannot be compared with other numbers."""
    number = _number(wanted)
    if number is None:
        return None
    exact = found if isinstance(found, int) else Decimal(str(found))
    nans = (number.is_nan(), isinstance(exact, Decimal) and exact.is_nan())
    if any(nans):
        return 0 if all(nans) else None
    return _sign(exact, number)


@lru_cache(maxsize=64)  # a query has few values, and each is compared with a field of every event
def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _sign(left: T, right: T) -> int:
    return (left > right) - (left < right)
