"""The command `sql`: query archives in SQL."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from consumer.archive.location import Location
from consumer.archive.reading.duplicates import Duplicates
from consumer.cli.commands.reports import report_faults, report_hidden, report_no_archive
from consumer.errors import Exit
from consumer.query import sql
from consumer.query.arrow_events import ArrowEvents
from consumer.query.executors import workers
from consumer.query.query import Query
from consumer.query.sql_output import ResultFormat, print_answer


@dataclass(frozen=True)
class SqlRequest:
    """What `sql` is asked for. `format`: None: a table on a terminal, otherwise JSON lines. `workers`: processes; None: chosen automatically."""

    query: str
    paths: Sequence[Location]
    filters: Query
    format: ResultFormat | None = None
    workers: int | None = None


def print_sql(request: SqlRequest) -> Exit:
    """Print the answer. DAMAGED if something could not be read; no answer if no archive could be opened. Raises Fatal for SQL that is wrong."""
    sql.require()
    events = ArrowEvents(request.paths, request.filters)
    if events.is_unread:
        return report_faults(events.faults)
    with workers(events.plan(), request.workers) as events.executor:
        if events.executor is not None:
            # The processes begin now: DuckDB starts threads, which a fork would not have.
            events.executor.submit(os.getpid).result()
        with sql.answered(request.query, events) as answer:
            print_answer(answer, request.format or _default(), sys.stdout.buffer)
    if not events.archives:
        report_no_archive(request.paths)
    duplicates = Duplicates(request.filters.duplicates)
    duplicates.hidden = events.hidden
    report_hidden(duplicates)
    return report_faults(events.faults)


def _default() -> ResultFormat:
    return ResultFormat.TABLE if sys.stdout.isatty() else ResultFormat.JSONL
