"""The command `export`: write events as files of other systems."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from codec.counted import counted
from consumer.archive.location import Location
from consumer.cli.commands.reports import report_faults, report_hidden
from consumer.cli.printing import print_line, report_error
from consumer.cli.progress import progress
from consumer.convert.exports import export
from consumer.convert.formats import FileFormat
from consumer.convert.report import ExportReport
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal
from consumer.query.cluster import shared
from consumer.query.executors import workers
from consumer.query.query import Query
from consumer.query.search import Found, Search

FILES_LISTED_MAX = 10


def export_events(
    paths: Sequence[Location], query: Query, format: FileFormat, out: Path, cluster: str | None = None
) -> Exit:
    """Write the events of a search as files. DAMAGED if an archive could not be read whole or an event was left out.

    `cluster`: the address of a Dask scheduler, whose workers read; this process writes.
    """
    for path in paths:
        if isinstance(path, Path) and not path.exists():
            raise Fatal(Exit.SETTINGS, f"{path}: nothing is there", "name archives, or directories of archives")
    search = Search(paths if cluster is None else shared(paths), query)
    began = time.monotonic()
    amount = search.plan()
    with progress("exporting", amount) as advance, workers(amount, cluster=cluster) as search.executor:
        report = export(Disk(), _advancing(search, advance), format, out)
    status = report_faults(search.faults)
    report_hidden(search.duplicates)
    _report(report, out, time.monotonic() - began)
    return Exit.DAMAGED if report.left_out else status


def _advancing(search: Search, advance: Callable[[int], None]) -> Iterator[Found]:
    """The events of a search. The progress bar follows the bytes that were read for them."""
    known = search.bytes_read
    for found in search:
        if search.bytes_read != known:
            advance(search.bytes_read - known)
            known = search.bytes_read
        yield found


def _report(report: ExportReport, out: Path, seconds: float) -> None:
    for path in islice(report.files, FILES_LISTED_MAX):
        print_line(str(path))
    if len(report.files) > FILES_LISTED_MAX:
        print_line(f"and {len(report.files) - FILES_LISTED_MAX} more below {out}")
    for name, count in report.unsupported.items():
        if count:
            report_error(f"the format has no place for {name}: {counted(count, 'event')}")
    if report.left_out:
        report_error(f"left out: {counted(report.left_out, 'event')}, because the format cannot hold their bodies")
    print_line(f"{counted(report.events, 'event')} in {counted(len(report.files), 'file')}, {seconds:.1f} s")
