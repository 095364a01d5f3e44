"""Print events as JSON lines, as a table that fits the terminal, or as bodies.

JSON lines are those of `codec.jsonl`. With `json_body`, a body that is JSON is the member `body_json` instead of `body`.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import BinaryIO

from codec import jsonl
from codec.event import Event
from consumer.archive.reading.cat import OutputFormat
from consumer.errors import Exit, Fatal
from consumer.query.columns import Column, fitted, parse_columns
from consumer.query.when import show_when

DEFAULT_COLUMNS = "time,position,type,id,routing_key,body"
_NARROW = 160  # columns; on a narrower terminal, id and routing key are left out
_NARROW_COLUMNS = "time,position,type,body"
NO_TERMINAL = (184, 24)


@dataclass(frozen=True)
class OutputOptions:
    """How events are printed. `zone`: the time zone of the times that are shown.

    `json_body`: show JSON bodies as JSON, for jsonl only. `columns`: names separated by commas, for table only.
    Raises Fatal for an option that the format does not have.
    """

    format: OutputFormat = OutputFormat.JSONL
    zone: tzinfo = UTC
    json_body: bool = False
    columns: str | None = None

    def __post_init__(self) -> None:
        for option, value, format in (
            ("--json-body", self.json_body, OutputFormat.JSONL),
            ("--columns", self.columns, OutputFormat.TABLE),
        ):
            if value and self.format is not format:
                what = f"{option} does not work with --format {self.format}"
                raise Fatal(Exit.SETTINGS, what, f"use --format {format}, or leave {option} out")


class Printer:
    """Writes events one by one, so that `tail -f` prints each event at once.

    `width`: characters of a line of a table; None: the width of the terminal. Raises Fatal for columns that do not exist.
    """

    def __init__(self, out: BinaryIO, options: OutputOptions | None = None, width: int | None = None) -> None:
        options = options or OutputOptions()
        self._out, self._zone, self._json_body = out, options.zone, options.json_body
        self._width = width or shutil.get_terminal_size(NO_TERMINAL).columns
        encoders: dict[OutputFormat, Callable[[Event, str], bytes]] = {
            OutputFormat.JSONL: self._line, OutputFormat.TABLE: self._row, OutputFormat.RAW: self._raw,
        }  # fmt: skip
        self.encode = encoders[options.format]
        self._columns: list[Column] = []
        if options.format is OutputFormat.TABLE:
            default = DEFAULT_COLUMNS if self._width >= _NARROW else _NARROW_COLUMNS
            columns = parse_columns(default if options.columns is None else options.columns, self._zone)
            self._columns = fitted(columns, self._width)
            out.write(self._cells([column.name for column in self._columns]))

    def print(self, event: Event, position: str) -> None:
        """Write one event."""
        self._out.write(self.encode(event, position))

    def flush(self) -> None:
        """Flush the written bytes."""
        self._out.flush()

    def _line(self, event: Event, position: str) -> bytes:
        zone = self._zone
        show_time = None if zone is UTC else lambda time_us: show_when(time_us, zone)
        return jsonl.encode(event, position, show_time, json_body=self._json_body)

    def _raw(self, event: Event, _position: str) -> bytes:
        return event.body + b"\n"

    def _row(self, event: Event, position: str) -> bytes:
        return self._cells([column.show(event, position) for column in self._columns])

    def _cells(self, cells: list[str]) -> bytes:
        """A line of the table. The last column fills the remainder of the line; a position is never shortened."""
        line = ""
        for cell, column in zip(cells[:-1], self._columns[:-1], strict=True):
            line += (cell.ljust(column.width) if column.name == "position" else fit(cell, column.width)) + " "
        line += fit(cells[-1], max(self._width - len(line), 1))
        return line[: self._width].rstrip().encode("utf-8", "replace") + b"\n"


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` characters. Control characters are shown as dots, so that a terminal does not obey them."""
    shown = "".join(character if character.isprintable() else "·" for character in text[: width + 1])
    return shown.ljust(width) if len(shown) <= width else shown[: width - 1] + "…"
