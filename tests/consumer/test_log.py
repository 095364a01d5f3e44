import ast
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest

from consumer import log
from consumer.log import LINES_MAX, REPEAT_S, Level, LogWriter
from consumer.log_catalogue import CATALOGUE, MODULES, declared
from tests.support.process import full_pipe

ROOT = Path(__file__).parents[2]


class Sink:
    """A stream that can be stopped."""

    def __init__(self) -> None:
        self.raw = b""
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, raw: bytes) -> int:
        """At most 100 bytes at a time, as a stream without a buffer may."""
        self.go_on.wait()
        self.raw += raw[:100]
        return len(raw[:100])

    def lines(self) -> list[dict[str, object]]:
        return [orjson.loads(line) for line in self.raw.splitlines()]


@pytest.fixture
def sink() -> Sink:
    return Sink()


def emits() -> list[tuple[str, str, set[str]]]:
    """Every `log.emit(log_events.EVENT, field=…)` of the source: where, which event, which fields."""
    found = []
    for path in sorted((ROOT / "consumer").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                if name == "emit" and node.args:
                    fields = {keyword.arg for keyword in node.keywords if keyword.arg}
                    found += [(f"{path.name}:{node.lineno}", event, fields) for event in constants(node.args[0])]
    return found


def constants(tree: ast.AST) -> list[str]:
    """The names of events in a piece of code, such as both events of `a.EVENT if condition else a.OTHER`."""
    nodes = [node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in ast.walk(tree)]
    return [name.lower() for name in nodes if name.isupper()]


@pytest.mark.parametrize(("place", "event", "fields"), emits(), ids=[f"{event}-{place}" for place, event, _ in emits()])
def test_every_emit_uses_a_declared_event_and_its_fields(place: str, event: str, fields: set[str]) -> None:
    assert event in CATALOGUE
    assert fields <= set(CATALOGUE[event].fields)


def test_every_declared_event_is_used_and_every_error_has_a_remedy() -> None:
    sources = [path for path in (ROOT / "consumer").rglob("*.py") if path.name != "log_events.py"]
    used = {name for path in sources for name in constants(ast.parse(path.read_text()))}
    assert set(CATALOGUE) - used == set()
    assert all(event.do != "Nothing." for event in CATALOGUE.values() if event.level is Level.ERROR)


def test_the_catalogue_has_the_events_of_every_package() -> None:
    paths = {path.relative_to(ROOT) for path in (ROOT / "consumer").rglob("log_events.py")}
    names = {".".join(path.with_suffix("").parts) for path in paths} | {"consumer.log"}
    assert {module.__name__ for module in MODULES} == names


def test_a_name_is_declared_once_and_is_that_of_its_constant() -> None:
    assert sum(len(declared(module)) for module in MODULES) == len(CATALOGUE)
    for module in MODULES:
        assert all(getattr(module, event.name.upper()) is event for event in declared(module))


def test_a_line_is_json_with_time_level_and_event(sink: Sink) -> None:
    writer = LogWriter(sink, console=False)
    writer.emit(CATALOGUE["stale_ack"], {"generation": 1, "events": 5})
    writer.close()
    (line,) = sink.lines()
    assert {key: line[key] for key in ("level", "event", "generation", "events")} == {
        "level": "info",
        "event": "stale_ack",
        "generation": 1,
        "events": 5,
    }
    assert str(line["time"]).endswith("Z")


def test_on_a_terminal_a_line_is_text(sink: Sink) -> None:
    writer = LogWriter(sink, console=True)
    writer.emit(CATALOGUE["resumed"], {"paused_s": 5.0})
    writer.close()
    assert b"resumed" in sink.raw
    assert b"{" not in sink.raw
    assert b"\x1b" not in sink.raw


def test_a_value_cannot_control_the_terminal(sink: Sink) -> None:
    writer = LogWriter(sink, console=True)
    writer.emit(CATALOGUE["watch_failed"], {"reason": "\x1b]0;title\a\nfile"})
    writer.close()
    assert b"\x1b" not in sink.raw
    assert sink.raw.count(b"\n") == 1


def test_the_text_has_colors_only_on_request(sink: Sink) -> None:
    writer = LogWriter(sink, console=True, colors=True)
    writer.emit(CATALOGUE["resumed"], {"paused_s": 5.0})
    writer.close()
    assert b"\x1b" in sink.raw


def test_a_field_that_is_not_declared_is_a_defect(sink: Sink) -> None:
    writer = LogWriter(sink, console=False)
    with pytest.raises(AssertionError, match="does not have the fields"):
        writer.emit(CATALOGUE["resumed"], {"nonsense": 1})
    writer.close()


def test_a_reader_that_stops_reading_does_not_stop_the_service(sink: Sink) -> None:
    writer = LogWriter(sink, console=False)
    sink.go_on.clear()
    for serial in range(LINES_MAX + 500):
        writer.emit(CATALOGUE["stats"], {"held": serial})
    assert writer.lost >= 499
    sink.go_on.set()
    writer.close(timeout_s=60)
    lines = sink.lines()
    lost = [line for line in lines if line["event"] == "lines_lost"]
    assert sum(int(str(line["count"])) for line in lost) == writer.lost
    assert len(lines) - len(lost) + writer.lost == LINES_MAX + 500


def test_the_process_ends_although_the_pipe_is_full() -> None:
    """The log thread held the lock of standard output while it waited, and the process needed this lock to end."""
    read, write = full_pipe()
    script = "import sys; from consumer import log; log.start(); log.emit(log.LIBRARY); log.flush(); sys.stdout.flush()"
    done = subprocess.run([sys.executable, "-c", script], check=False, stdout=write, timeout=30)
    os.close(write)
    os.close(read)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("event", "fields"),
    [("file_gone", {"unread": 5}), ("message_refused", {"bytes": 5, "reason": "too large", "kept": ""})],
)
def test_each_loss_is_logged_although_the_paths_are_equal(sink: Sink, event: str, fields: dict[str, object]) -> None:
    """Of three missing files, only one was logged."""
    writer = LogWriter(sink, False)
    for position in (1, 2, 3):
        writer.emit(CATALOGUE[event], {"path": "/log", "position": position, **fields})
    writer.close()
    assert [line["position"] for line in sink.lines()] == [1, 2, 3]


def test_repeated_warnings_are_counted(sink: Sink) -> None:
    now = [0.0]
    writer = LogWriter(sink, console=False, clock=lambda: now[0])
    for _ in range(5):
        writer.emit(CATALOGUE["connect_failed"], {"broker": "b", "reason": "refused", "wait_s": 1})
    writer.emit(CATALOGUE["connect_failed"], {"broker": "b", "reason": "other", "wait_s": 1})
    now[0] = REPEAT_S
    writer.emit(CATALOGUE["connect_failed"], {"broker": "b", "reason": "refused", "wait_s": 1})
    writer.emit(CATALOGUE["stats"], {"held": 1})
    writer.emit(CATALOGUE["stats"], {"held": 1})
    writer.close(timeout_s=60)
    assert [(line["event"], line.get("reason"), line.get("repeated")) for line in sink.lines()] == [
        ("connect_failed", "refused", None), ("connect_failed", "other", None), ("connect_failed", "refused", 4), ("stats", None, None), ("stats", None, None),
    ]  # fmt: skip


def test_a_line_that_cannot_be_encoded_does_not_end_the_log(sink: Sink) -> None:
    writer = LogWriter(sink, console=False)
    writer.emit(CATALOGUE["recovery_deferred"], {"path": os.fsdecode(b"/tmp/\xff"), "reason": object()})
    writer.emit(CATALOGUE["resumed"], {"paused_s": 1})
    writer.close()
    writer.close()
    assert [line["event"] for line in sink.lines()] == ["recovery_deferred", "resumed"]


def test_a_closed_stream_does_not_end_the_service() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb", buffering=0) as stream:
        writer = LogWriter(stream, console=False)
        writer.emit(CATALOGUE["resumed"], {"paused_s": 1})
        writer.close()
    assert writer.lost >= 1


def test_warnings_of_libraries_are_in_the_same_log(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    monkeypatch.setattr(log, "_writer", None)
    log.start(sink, console=False)
    logging.getLogger("aiormq.connection").warning("one\ntwo")
    logging.getLogger("aiormq.connection").info("not this")
    log.flush()
    root.handlers, root.level = before
    (line,) = sink.lines()
    assert (line["event"], line["logger"], line["text"]) == ("library", "aiormq.connection", "one")
    assert log.lines_lost() == 0


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("message", "arguments", "text"),
    [
        ("", (), ""),
        ("\n\n", (), ""),
        ("\nsecond", (), "second"),
        ("%d files", ("many",), "'%d files' with arguments that do not fit"),
        ("%s and %s", ("one",), "'%s and %s' with arguments that do not fit"),
        ("%s", (Unprintable(),), "'%s' with arguments that do not fit"),
        (Unprintable(), (), "unprintable"),
    ],
)
def test_logging_a_line_of_a_library_never_raises(
    sink: Sink, monkeypatch: pytest.MonkeyPatch, message: object, arguments: tuple[object, ...], text: str
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(log, "_writer", None)
    log.start(sink, console=False)
    logging.getLogger("aiormq.connection").warning(message, *arguments)
    log.flush()
    assert [line["text"] for line in sink.lines()] == [text]


def test_a_text_that_is_not_unicode_leaves_the_numbers_numbers(sink: Sink) -> None:
    writer = LogWriter(sink, console=False)
    event = log.LogEvent("odd", Level.INFO, ("path", "count", "wait_s", "names", "none"), "meaning")
    writer.emit(event, {"path": "a\udcff", "count": 3, "wait_s": 0.5, "names": ["\udcff"], "none": None})
    writer.close()
    (line,) = sink.lines()
    assert (line["path"], line["count"], line["wait_s"], line["none"]) == ("a\\udcff", 3, 0.5, None)
    assert isinstance(line["names"], str)
