"""The command `stats`: count events by group, and print the groups."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import orjson

from codec.counted import counted
from codec.event import format_time
from consumer.archive.location import Location
from consumer.cli.commands.reports import report_faults, report_hidden, report_no_archive
from consumer.cli.printing import print_line, print_unchanged
from consumer.cli.progress import progress
from consumer.errors import Exit
from consumer.query.counting import Counting, Part
from consumer.query.counts import Row
from consumer.query.executors import workers
from consumer.query.grouping import Grouping, Value
from consumer.query.query import Query

VALUE_WIDTH_MAX = 60  # characters of a value in the table
_MISSING = "-"


def count_events(
    paths: Sequence[Location], query: Query, grouping: Grouping, bytes: bool, format: Literal["table", "jsonl"],
    where: tuple[int | None, str | None],
) -> Exit:  # fmt: skip
    """Count and print. DAMAGED if something could not be read. Raises Fatal if there are too many groups.

    `bytes`: print the bytes of the bodies too. `where`: the number of local processes, and the address of a cluster; None: the default.
    """
    if where[1] is not None:
        paths = [path.absolute() if isinstance(path, Path) else path for path in paths]  # a worker has another directory
    counting = Counting(paths, query, grouping, bytes)
    amount = sum(map(_size, counting.locations))
    total = Part()
    with progress("counting", amount) as advance, workers(amount, *where) as counting.executor:
        for part in counting:
            total.merge(part)
            advance(part.size)
    show = _show_table if format == "table" else _show_lines
    show(total, grouping, bytes)
    if not counting.locations:
        report_no_archive(paths)
    report_hidden(total.hidden)
    return report_faults(total.faults)
