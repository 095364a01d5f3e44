"""Conditions on the fields of JSON bodies: `payload.tenant_id=123`. Pure.

A body that is no JSON object, or a field that is not there, fits no condition but `!=`. A notification in the oslo envelope is
looked into. Numbers are compared as numbers and times as times; everything else as text.
"""

import re
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import orjson

from consumer.errors import DeedboxError, Exit, Fatal
from consumer.query.when import parse_when

_CONDITION = re.compile(r"(?P<path>[^=!<>]+?)\s*(?P<sign>!=|<=|>=|=(?![=<>])|<|>)\s*(?P<value>.*)", re.DOTALL)
_INDEX = re.compile(r"[0-9]{1,9}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_SIGNS = {
    "=": lambda order: order == 0, "!=": lambda order: order != 0, "<": lambda order: order < 0,
    "<=": lambda order: order <= 0, ">": lambda order: order > 0, ">=": lambda order: order >= 0,
}  # fmt: skip
_MISSING = object()
T = TypeVar("T", Decimal, int, str)


@dataclass(frozen=True, slots=True)
class Condition:
    """A field, a sign and a value."""

    path: tuple[str, ...]
    sign: str
    value: str

    def holds(self, body: object) -> bool:
        """Whether a decoded body fulfils it."""
        found = _field(body, self.path)
        if found is _MISSING and isinstance(body, dict) and isinstance(inner := body.get("oslo.message"), str):
            found = _field(loads(inner), self.path)
        if found is _MISSING:
            return self.sign == "!="
        order = compare(found, self.value)
        return self.sign == "!=" if order is None else _SIGNS[self.sign](order)


def parse_condition(text: str) -> Condition:
    """`payload.tenant_id=123` as a condition. Raises Fatal."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise Fatal(
            Exit.SETTINGS,
            f"{text!r} is no condition",
            "write a field, one of = != < <= > >= and a value: payload.size>=10",
        )
    return Condition(tuple(match["path"].strip().split(".")), match["sign"], match["value"].strip())


def loads(body: bytes | str) -> object:
    """A JSON value; None for what is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _field(value: object, path: tuple[str, ...]) -> object:
    """The value at a path; names may hold dots themselves, and the longest name that is there counts."""
    if not path:
        return value
    if isinstance(value, dict):
        for size in range(len(path), 0, -1):
            if (name := ".".join(path[:size])) in value:
                return _field(value[name], path[size:])
    if isinstance(value, list) and _INDEX.fullmatch(path[0]) and int(path[0]) < len(value):
        return _field(value[int(path[0])], path[1:])
    return _MISSING


def compare(found: object, wanted: str) -> int | None:
    """Less, equal or greater as -1, 0, 1; None for what cannot be compared."""
    if isinstance(found, bool) or found is None:
        return 0 if {True: "true", False: "false", None: "null"}[found] == wanted.lower() else None
    if isinstance(found, int | float):
        try:
            number = Decimal(wanted)
            return _sign(Decimal(str(found)), number) if not number.is_nan() else None
        except InvalidOperation:
            return None
    if not isinstance(found, str):
        return None
    if _TIME.fullmatch(found) and _TIME.fullmatch(wanted):
        try:
            return _sign(parse_when(found, 0, UTC), parse_when(wanted, 0, UTC))
        except DeedboxError:
            pass  # a text that only looks like a time
    return _sign(found, wanted)


def _sign(left: T, right: T) -> int:
    return (left > right) - (left < right)
