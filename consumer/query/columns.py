"""The columns of a table of events: fields of the event, `headers.NAME`, `properties.NAME`, and paths into a JSON body. Pure."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from decimal import Decimal

import orjson

from codec import jsonl
from codec.event import Event
from consumer.errors import Exit, Fatal
from consumer.query.when import show_when
from consumer.query.where import MISSING, Condition, loads, parse_condition

BODY_SHOWN_BYTES = 1000
_WIDTHS = {
    "time": 27,
    "arrived": 27,
    "position": 24,
    "type": 28,
    "id": 36,
    "duplicate": 24,
    "body": 60,
    "redelivered": 11,
}
_WIDTH = 20
_LAST_WIDTH_MIN = 16  # of the last column, which takes the rest of the line
_WIDTH_MIN = 12  # of a column that is reduced for it
_KEPT = ("time", "arrived")  # a part of a time misleads
_NO_PATH = re.compile(r"\.\.|\.$|\[[0-9]*\]")
_ZONE_WIDTH = 5  # a time with the offset of a zone is longer than one that ends with Z
_FIELDS: dict[str, Callable[[Event, str], str]] = {
    "id": lambda event, _: event.id,
    "type": lambda event, _: event.type,
    "tags": lambda event, _: ",".join(event.tags),
    "exchange": lambda event, _: event.exchange,
    "routing_key": lambda event, _: event.routing_key,
    "redelivered": lambda event, _: "true" if event.redelivered else "false",
    "duplicate": lambda event, _: event.duplicate,
    "position": lambda _, position: position,
    "body": lambda event, _: event.body[:BODY_SHOWN_BYTES].decode("utf-8", "replace"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its width in characters, and the text of a cell for an event and its position."""

    name: str
    width: int
    show: Callable[[Event, str], str]


def parse_columns(text: str, zone: tzinfo = UTC) -> list[Column]:
    """The columns of `time,type,headers.tenant,payload.size`. Times are shown in `zone`. Raises Fatal."""
    return [_column(name.strip(), text, zone) for name in text.split(",")]


def fitted(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns for a line of `width` characters: others are reduced until the last one has room, position first, then the widest."""
    found = list(columns)
    excess = sum(column.width + 1 for column in found[:-1]) + _LAST_WIDTH_MIN - width
    others = [index for index, column in enumerate(found[:-1]) if column.name not in _KEPT]
    for index in sorted(others, key=lambda index: (found[index].name != "position", -found[index].width)):
        floor = _LAST_WIDTH_MIN if found[index].name == "position" else _WIDTH_MIN
        saved = max(min(excess, found[index].width - floor), 0)
        found[index] = replace(found[index], width=found[index].width - saved)
        excess -= saved
    return found


def _column(name: str, text: str, zone: tzinfo) -> Column:
    if not name or set(name) & set("=!<>~"):
        names = ", ".join(sorted([*_FIELDS, "time", "arrived"]))
        what = f"--columns {text!r}: {name!r} is not the name of a column"
        raise Fatal(
            Exit.SETTINGS,
            what,
            f"use {names}, headers.NAME, properties.NAME or a field of the body, such as payload.size",
        )
    width = _WIDTHS.get(name, max(_WIDTH, len(name)))
    if name in ("time", "arrived"):
        width += 0 if zone is UTC else _ZONE_WIDTH
        return Column(
            name, width, lambda event, _: show_when(event.time_us if name == "time" else event.arrived_us, zone)
        )
    return Column(name, width, _FIELDS.get(name) or _path_reader(name))


def parse_path(name: str, option: str) -> Condition:
    """A condition that finds the field which `--where` finds under this name. `option`: the option of an error. Raises Fatal."""
    if _NO_PATH.search(name) and not name.startswith(("headers.", "properties.")):
        raise Fatal(
            Exit.SETTINGS,
            f"{option}: {name!r} is not the path of a field",
            "separate names by one dot, and write the number of an element as a name: payload.list.0",
        )
    try:
        return parse_condition(f"{name}=")
    except Fatal as error:
        raise Fatal(error.exit, f"{option}: {error.what.replace(f'{name}=', name)}", error.do) from error


def _path_reader(name: str) -> Callable[[Event, str], str]:
    """Shows the field of this name; nothing if it is missing. Raises Fatal for a wrong name."""
    field = parse_path(name, "--columns")

    def show(event: Event, _: str) -> str:
        delivery = jsonl.show_header(event.header) if field.reads_delivery else None
        value = field.find(loads(event.body), delivery)
        return "" if value is MISSING else show_value(value)

    return show


def show_value(value: object) -> str:
    """A value of JSON as text: a string as it is, everything else as JSON."""
    if isinstance(value, str | Decimal):
        return str(value)
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        return _any_json(value)


def _any_json(value: object) -> str:
    """JSON with what orjson refuses: integers of more than 64 bits, lone surrogates and more than 254 levels."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except RecursionError:
        return "(too many levels)"
