"""The log: lines of declared events, written by a thread.

Each package declares its events in its `log_events` module; `consumer.log_catalogue` has all of them.

Invariants:

- Only a declared event can be logged, with the fields that it declares.
- A program that stops reading the log never stops the service or delays its end: lines wait in a bounded queue for the log thread,
  lines that do not fit are counted, and no other thread acquires a lock of the stream.
- A warning or an error that repeats is counted, not written again.

Lines are JSON on a pipe and text on a terminal.
"""

import atexit
import errno
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from io import FileIO
from typing import BinaryIO

import orjson

from consumer.visible import escaped

LINES_MAX = 10_000
REPEAT_S = 10.0  # a warning or error with the same event, reason, path and destination within this time is counted


class Level(StrEnum):
    """How serious a line is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One kind of line.

    `fields` are all fields that it may have. `meaning`: the event in one sentence. `do`: the action of the operator. A line of
    level warning or error that repeats within `REPEAT_S` is counted, unless `repeats`: then each one is written.
    """

    name: str
    level: Level
    fields: tuple[str, ...]
    meaning: str
    do: str = "Nothing."
    repeats: bool = False


LINES_LOST = LogEvent(
    "lines_lost",
    Level.WARNING,
    ("count",),
    "The program that reads the log was too slow. `count` lines were not written.",
    "Check the program that reads the log.",
)
LIBRARY = LogEvent(
    "library", Level.WARNING, ("logger", "text"), "A library logged a warning or an error.", "Usually nothing."
)


class LogWriter:
    """The bounded queue and its thread. `emit` never blocks. `stream` must have no buffer, because nothing flushes it."""

    def __init__(
        self,
        stream: BinaryIO | FileIO,
        console: bool,
        clock: Callable[[], float] = time.monotonic,
        colors: bool = False,
    ) -> None:
        self._stream = stream
        self._render = _console(colors) if console else _json
        self._queue: queue.Queue[dict[str, object] | None] = queue.Queue(LINES_MAX)
        self._clock = clock
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}
        self.lost = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, event: LogEvent, fields: dict[str, object]) -> None:
        """Queue a line. A warning or error that was queued less than `REPEAT_S` ago is only counted."""
        unknown = fields.keys() - set(event.fields)
        assert not unknown, f"{event.name} does not have the fields {unknown}"
        repeated = 0 if event.repeats else self._repeated(event, fields)
        if repeated < 0:
            return
        line = {"time": _now(), "level": event.level, "event": event.name, **fields}
        if repeated:
            line["repeated"] = repeated
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self.lost += 1

    def _repeated(self, event: LogEvent, fields: dict[str, object]) -> int:
        """How many equal lines were counted and not written before this one; -1 if this one is not written either."""
        if event.level is Level.INFO:
            return 0
        key = (
            event.name,
            *(
                str(fields.get(name))
                for name in ("reason", "path", "file", "archive", "destination", "logger")
                if name in fields
            ),
        )
        first, count = self._seen.get(key, (float("-inf"), 0))
        now = self._clock()
        if now - first < REPEAT_S:
            self._seen[key] = (first, count + 1)
            return -1
        if len(self._seen) > LINES_MAX:
            self._seen.clear()
        self._seen[key] = (now, 0)
        return count

    def close(self, timeout_s: float = 2.0) -> None:
        """Write the queued lines that the reader accepts within this time. Further calls do nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _run(self) -> None:
        reported = 0
        while True:
            line = self._queue.get()
            if self.lost > reported and self._queue.empty():
                about = {"level": LINES_LOST.level, "event": LINES_LOST.name, "count": self.lost - reported}
                self._write({"time": _now(), **about})
                reported = self.lost
            if line is None:
                return
            self._write(line)

    def _write(self, line: dict[str, object]) -> None:
        try:
            remainder = self._render(line)
            while remainder:
                written = self._stream.write(remainder)
                if not written:
                    raise BlockingIOError(errno.EAGAIN, "the stream accepts no bytes now")
                remainder = remainder[written:]
        except Exception:  # noqa: BLE001 -- an error of one line or of its reader must not end the log thread
            self.lost += 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(line: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # lone surrogates, for example in a path that is not UTF-8
        clean = {
            name: value if isinstance(value, int | float | None) else _clean(value) for name, value in line.items()
        }
        return orjson.dumps(clean, option=orjson.OPT_APPEND_NEWLINE)


def _clean(value: object) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def _console(colors: bool) -> Callable[[dict[str, object]], bytes]:
    import structlog  # its import is a third of the start time, and only a terminal needs it

    renderer = structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time", pad_event_to=18, sort_keys=False)

    def render(line: dict[str, object]) -> bytes:
        shown = {name: escaped(value) if isinstance(value, str) else value for name, value in line.items()}
        return (str(renderer(None, "", shown)) + "\n").encode("utf-8", "backslashreplace")

    return render


_writer: LogWriter | None = None


def start(stream: BinaryIO | FileIO | None = None, console: bool | None = None, colors: bool = False) -> LogWriter:
    """Begin to write the log, by default to standard output. Earlier lines are lost.

    `console`: text for a terminal, or JSON; by default text if standard output is a terminal. `colors`: whether the text has colors.
    """
    global _writer
    # A stream without a buffer. With the buffer of `sys.stdout`, the log thread would hold its lock while it waits for the
    # reader, and the interpreter waits for that lock when it ends.
    stream = stream or FileIO(sys.stdout.fileno(), "wb", closefd=False)
    _writer = LogWriter(stream, sys.stdout.isatty() if console is None else console, colors=colors)
    atexit.register(_writer.close)
    root = logging.getLogger()
    root.handlers = [_LibraryLines()]
    root.setLevel(logging.WARNING)
    return _writer


def emit(event: LogEvent, **fields: object) -> None:
    """Log an event. Before `start` (in tests and in other commands) this does nothing."""
    if _writer is not None:
        _writer.emit(event, fields)


def flush() -> None:
    """Write the queued lines and stop logging."""
    if _writer is not None:
        _writer.close()


def lines_lost() -> int:
    """How many lines were not written because the reader was too slow."""
    return _writer.lost if _writer else 0


class _LibraryLines(logging.Handler):
    """Logs the warnings and errors of libraries as events: the first line, without the traceback.

    Never raises, because the error would appear inside the library.
    """

    def emit(self, record: logging.LogRecord) -> None:
        emit(LIBRARY, logger=record.name, text=_first_line(record)[:300])


def _first_line(record: logging.LogRecord) -> str:
    """The first line that is not empty. If the arguments do not fit the format, the format itself."""
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 -- `__str__` of the library may raise any error; the line is logged without its values
        text = f"{record.msg!r:.200} with arguments that do not fit" if isinstance(record.msg, str) else "unprintable"
    return next((line for line in text.splitlines() if line.strip()), "")
