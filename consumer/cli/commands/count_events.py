"""The command `stats`: count events by group, and print the groups."""

from collections.abc import Iterator, Sequence
from typing import Literal

import orjson

from codec.counted import counted
from codec.event import format_time
from consumer.archive.listing import size_of
from consumer.archive.location import Location
from consumer.cli.commands.reports import report_faults, report_hidden, report_no_archive
from consumer.cli.printing import print_line, print_unchanged
from consumer.cli.progress import progress
from consumer.errors import Exit
from consumer.query.cluster import shared
from consumer.query.counting import Counting, Part
from consumer.query.counts import Row
from consumer.query.executors import workers
from consumer.query.grouping import Grouping, Value
from consumer.query.query import Query
from consumer.visible import escaped

VALUE_WIDTH_MAX = 60  # characters of a value in the table
_MISSING = "-"


def count_events(
    paths: Sequence[Location], query: Query, grouping: Grouping, bytes: bool, format: Literal["table", "jsonl"],
    where: tuple[int | None, str | None],
) -> Exit:  # fmt: skip
    """Count and print. DAMAGED if something could not be read; no counts if no archive could be read. Raises Fatal if there are too many groups.

    `bytes`: print the bytes of the bodies too. `where`: the number of local processes, and the address of a cluster; None: the default.
    """
    paths = paths if where[1] is None else shared(paths)
    counting = Counting(paths, query, grouping, bytes)
    amount = sum(map(size_of, counting.locations))
    total = Part()
    with progress("counting", amount) as advance, workers(amount, *where) as counting.executor:
        for part in counting:
            total.merge(part)
            advance(part.size)
    if total.faults and not total.archives:
        return report_faults(total.faults)
    if format == "table":
        _print_table(total, grouping, bytes)
    else:
        _print_lines(total, grouping, bytes)
    if not counting.locations:
        report_no_archive(paths)
    report_hidden(total.duplicates(query.duplicates))
    return report_faults(total.faults)


def _print_lines(total: Part, grouping: Grouping, bytes: bool) -> None:
    for row in total.counts.rows():
        line: dict[str, object] = {}
        if row.bucket_us is not None:
            line["bucket"] = format_time(row.bucket_us)
        line |= {name: None if value is None else _utf8(value) for name, value in _named(grouping, row)}
        line["events"] = row.events
        if bytes:
            line["bytes"] = row.bytes
        print_unchanged(orjson.dumps(line).decode())


def _named(grouping: Grouping, row: Row) -> Iterator[tuple[str, Value]]:
    return zip(grouping.fields, row.values, strict=True)


def _utf8(text: str) -> str:
    """Text for JSON. Bytes that are not text are shown with backslashes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _print_table(total: Part, grouping: Grouping, bytes: bool) -> None:
    """Print the groups as a table, and a last line with the totals."""
    bucketed = ["bucket"] if grouping.bucket_us is not None else []
    numbers = ["events", "bytes"] if bytes else ["events"]
    names = [*bucketed, *grouping.fields]
    table = [[*_cells(row), *_numbers(row.events, row.bytes, bytes)] for row in total.counts.rows()]
    last = _numbers(total.counts.events, total.counts.bytes, bytes)
    if names:
        widths = [max(map(len, column)) for column in zip([*names, *numbers], *table, strict=True)]
        for line in ([*names, *numbers], *table):
            left = (f"{cell:{width}}" for cell, width in zip(line[: len(names)], widths, strict=False))
            right = (f"{cell:>{width}}" for cell, width in zip(line[len(names) :], widths[len(names) :], strict=True))
            print_line("  ".join([*left, *right]))
    sized = f", {last[1]} bytes" if bytes else ""
    groups = f" in {counted(len(table), 'group')}" if names else ""
    print_line(f"{counted(total.counts.events, 'event')}{sized}{groups}, {counted(total.archives, 'archive')}")


def _cells(row: Row) -> list[str]:
    bucket = [] if row.bucket_us is None else [format_time(row.bucket_us)[:19] + "Z"]
    return [*bucket, *map(_cell, row.values)]


def _cell(value: Value) -> str:
    """A value for the table: in one line, and not too long. An empty one is shown with quotation marks."""
    text = _MISSING if value is None else escaped(value) or '""'
    return text if len(text) <= VALUE_WIDTH_MAX else text[: VALUE_WIDTH_MAX - 1] + "…"


def _numbers(events: int, size: int, bytes: bool) -> list[str]:
    return [f"{events:,}", f"{size:,}"] if bytes else [f"{events:,}"]
