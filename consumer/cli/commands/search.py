"""The command `search`: find events in the order of event time."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from consumer.archive.location import Location
from consumer.cli.commands.reports import check_count, report_faults, report_hidden, report_no_archive
from consumer.cli.printing import print_line, report_error
from consumer.errors import Exit
from consumer.query.cluster import shared
from consumer.query.executors import workers
from consumer.query.query import Query
from consumer.query.search import Found, Search
from consumer.query.show import OutputOptions, Printer


@dataclass(frozen=True)
class SearchRequest:
    """What `search` is asked for. `limit`: maximum number of events; None: no limit.

    `count`: print the number of events only. `explain`: report how much was read. `workers`: processes; None: chosen automatically.
    `cluster`: the address of a Dask scheduler, whose workers read instead.
    """

    paths: Sequence[Location]
    query: Query
    newest_first: bool = False
    limit: int | None = None
    count: bool = False
    explain: bool = False
    workers: int | None = None
    cluster: str | None = None
    output: OutputOptions = field(default_factory=OutputOptions)


def search_archives(request: SearchRequest) -> Exit:
    """Print the events that are found. DAMAGED if something could not be read. Raises Fatal for a negative limit."""
    check_count("--limit", request.limit)
    paths = request.paths if request.cluster is None else shared(request.paths)
    search = Search(paths, request.query, request.newest_first, bodies=not request.count)
    planned = search.plan()  # also for a limit of 0: a path that cannot be read is an error
    reads_all = request.limit is None or request.query.match or request.query.where or request.query.death
    with workers(planned if reads_all else 0, request.workers, request.cluster) as search.executor:
        _print(request, islice(search, None if request.limit is None else min(request.limit, sys.maxsize)))
    if not search.archives:
        report_no_archive(request.paths)
    if request.explain:
        report_error(search.explain())
    report_hidden(search.duplicates)
    return report_faults(search.faults)


def _print(request: SearchRequest, found: Iterator[Found]) -> None:
    if request.count:
        print_line(str(sum(1 for _ in found)))
        return
    printer = Printer(sys.stdout.buffer, request.output)
    for event, position in found:
        printer.print(event, position)
