"""The command `cat`: print events in the order in which the archives hold them."""

import sys
from collections.abc import Sequence
from datetime import UTC

from consumer.archive.listing import find_archives
from consumer.archive.location import Location
from consumer.archive.reading.cat import EventSelection, OutputFormat, cat_archives
from consumer.archive.reading.duplicates import Duplicates
from consumer.cli.commands.reports import check_count, report_faults, report_hidden, report_no_archive
from consumer.cli.printing import report_error
from consumer.errors import Exit
from consumer.query.query import EventFilter, Query
from consumer.query.show import OutputOptions, Printer


def print_archives(paths: Sequence[Location], query: Query, output: OutputOptions, limit: int | None = None) -> Exit:
    """Print the events that the query accepts. DAMAGED if something could not be read.

    `limit`: maximum number of events; None: no limit. Raises Fatal for a negative limit.
    """
    check_count("--limit", limit)
    out = sys.stdout.buffer
    # The archive's own encoder is the fastest; it knows neither tables, nor time zones, nor parsed bodies.
    needs_printer = (
        output.format is OutputFormat.TABLE
        or output.json_body
        or (output.zone is not UTC and output.format is OutputFormat.JSONL)
    )
    shown = Printer(out, output).encode if needs_printer else output.format
    faults: list[str] = []
    duplicates = Duplicates(query.duplicates)
    everything = query == Query(duplicates=query.duplicates)
    chosen = None if everything else EventSelection(query.wanted, EventFilter(query, faults.append))
    damaged = cat_archives(list(paths), shown, out, report_error, chosen, duplicates, limit)
    if not find_archives(paths):
        report_no_archive(paths)
    report_hidden(duplicates)
    return max(report_faults(faults), Exit.DAMAGED if damaged else Exit.OK)
