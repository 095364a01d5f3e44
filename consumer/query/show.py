"""Events as a person or another program wants them: JSON lines, a table that fits the terminal, or bodies as they are."""

import shutil
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import BinaryIO

from codec import jsonl
from codec.event import Event
from consumer.query.when import show_when

FORMATS = ("jsonl", "table", "raw")
_COLUMNS = (("time", 27), ("position", 24), ("type", 28), ("id", 36), ("routing key", 20))
_ZONE = 5  # how much longer a time is that names its zone
_NARROW = 160  # columns; on a narrower terminal, id and routing key are left out
_NO_TERMINAL = (184, 24)


class Printer:
    """Writes events one by one: what follows a live archive must not wait for the rest."""

    def __init__(self, out: BinaryIO, format: str, zone: tzinfo = UTC, width: int | None = None) -> None:
        self._out, self._zone = out, zone
        self._width = width or shutil.get_terminal_size(_NO_TERMINAL).columns
        self.encode: Callable[[Event, str], bytes] = {"jsonl": self._line, "table": self._row, "raw": self._raw}[format]
        if format == "table":
            out.write(self._cells([name for name, _ in _COLUMNS], "body"))

    def print(self, event: Event, position: str) -> None:
        """Write one event."""
        self._out.write(self.encode(event, position))

    def flush(self) -> None:
        """Hand on what was written."""
        self._out.flush()

    def _line(self, event: Event, position: str) -> bytes:
        if self._zone is UTC:
            return jsonl.encode(event, position)
        return jsonl.encode(event, position, lambda time_us: show_when(time_us, self._zone))

    def _raw(self, event: Event, _position: str) -> bytes:
        return event.body + b"\n"

    def _row(self, event: Event, position: str) -> bytes:
        cells = [show_when(event.time_us, self._zone), position, event.type, event.id, event.routing_key]
        return self._cells(cells, event.body[:1000].decode("utf-8", "replace"))

    def _cells(self, cells: list[str], body: str) -> bytes:
        zone = 0 if self._zone is UTC else _ZONE
        shown = [
            cell.ljust(width)
            if name == "position"
            else _fit(cell, width + zone * (name == "time"))  # a part of it names no event
            for cell, (name, width) in zip(cells, _COLUMNS, strict=True)
            if self._width >= _NARROW or name in ("time", "position", "type")
        ]
        line = " ".join(shown) + " "
        return (line + _fit(body, max(self._width - len(line), 1)))[: self._width].rstrip().encode(
            "utf-8", "replace"
        ) + b"\n"


def _fit(text: str, width: int) -> str:
    """`text` in exactly so many columns; what a terminal would obey is shown as a dot."""
    shown = "".join(character if character.isprintable() else "·" for character in text[: width + 1])
    return shown.ljust(width) if len(shown) <= width else shown[: width - 1] + "…"
