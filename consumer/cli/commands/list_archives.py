"""The command `ls`: one line for each archive, from its footer or its batch headers. No event is read.

Invariant: each line is printed before the next archive is opened, so that memory does not grow with the number of archives.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Literal

import orjson

from consumer.archive.listing import find_archives
from consumer.archive.location import Location
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.in_threads import in_threads
from consumer.archive.reading.summary import State, Summary, summarize
from consumer.cli.commands.reports import report_no_archive
from consumer.cli.printing import print_line, print_unchanged, report_error
from consumer.errors import Exit
from consumer.objects.url import ObjectUrl
from consumer.query.when import show_when

TYPES_SHOWN = 5
_HEADER = ("state", "events", "size", "first event", "last event", "instance", "types", "archive")
_INSTANCE_WIDTH, _TYPES_WIDTH = 120, 160  # characters of a terminal that has room for these columns
_TYPES_CHARACTERS = 40
_NO_TERMINAL = (200, 24)


def list_archives(paths: Sequence[Location], format: Literal["table", "jsonl"], zone: tzinfo = UTC) -> Exit:
    """Print the archives. DAMAGED if one is damaged or cannot be read.

    `format`: table or jsonl. `zone`: the time zone of the times in the table; JSON lines have it too.
    """
    status, found = Exit.OK, find_archives(paths)
    if not found:
        report_no_archive(paths)
        return status
    show = _table(zone) if format == "table" else _json(zone)
    for summary in _summaries(found):
        if isinstance(summary, ReadFault):
            report_error(summary)
            status = Exit.DAMAGED
            continue
        show(summary)
        if summary.state is State.DAMAGED:
            report_error(f"{summary.path}: {summary.fault}")
            status = Exit.DAMAGED
    return status


def _summaries(paths: Sequence[Location]) -> Iterable[Summary | ReadFault]:
    """The summaries in order. Those of archives in object storage are read ahead."""
    remote = any(isinstance(path, ObjectUrl) for path in paths)
    return in_threads(_summary, paths) if remote else map(_summary, paths)


def _summary(path: Location) -> Summary | ReadFault:
    try:
        return summarize(path)
    except OSError as error:
        return ReadFault.of(path, error)


def _json(zone: tzinfo) -> Callable[[Summary], None]:
    def show(summary: Summary) -> None:
        def time(time_us: int | None) -> str | None:
            return None if time_us is None else show_when(time_us, zone)

        line = {
            "path": _utf8(str(summary.path)), "state": summary.state,
            "instance": summary.id and summary.id.instance, "sequence": summary.id and summary.id.sequence,
            "events": summary.events, "batches": summary.batches, "size": summary.size,
            "first": time(summary.first_us), "last": time(summary.last_us),
            "first_arrived": time(summary.first_arrived_us), "last_arrived": time(summary.last_arrived_us),
            "types": None if summary.types is None else dict(_frequent(summary.types)),
            "lost": summary.lost, "removed": summary.removed, "fault": _utf8(summary.fault) or None,
        }  # fmt: skip
        print_unchanged(orjson.dumps(line).decode())

    return show


def _table(zone: tzinfo) -> Callable[[Summary], None]:
    """Prints the header of the table now, and returns the function that prints a row."""
    width = shutil.get_terminal_size(_NO_TERMINAL).columns
    print_line(_row(_HEADER, width))

    def show(summary: Summary) -> None:
        times = ["-" if at is None else show_when(at, zone)[:19] for at in (summary.first_us, summary.last_us)]
        types = ", ".join(f"{_printable(name)} {count}" for name, count in _frequent(summary.types or {}))
        numbers = str(summary.events), _size(summary.size)
        instance = summary.id.instance if summary.id else "-"
        cells = (summary.state, *numbers, *times, instance, types or "-", str(summary.path))
        print_line(_row(cells, width))

    return show


def _row(cells: Sequence[str], width: int) -> str:
    """A line of the table. A narrow terminal has no instance and no types. The path is never shortened, because it names the archive."""
    state, events, size, first, last, instance, types, path = cells
    line = f"{state:8} {events:>9} {size:>10}  {first:19}  {last:19}"
    line += f"  {instance:12}" if width >= _INSTANCE_WIDTH else ""
    line += f"  {_shortened(types, _TYPES_CHARACTERS):{_TYPES_CHARACTERS}}" if width >= _TYPES_WIDTH else ""
    return f"{line}  {path}"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _frequent(types: dict[str, int]) -> Iterable[tuple[str, int]]:
    return sorted(types.items(), key=lambda pair: (-pair[1], pair[0]))[:TYPES_SHOWN]


def _printable(text: str) -> str:
    """A type as one word of the table: a terminal must not obey control characters."""
    return "".join(character if character.isprintable() else "·" for character in text)


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _size(size: int) -> str:
    for unit, bytes in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= bytes:
            return f"{size / bytes:.1f} {unit}"
    return f"{size} B"
