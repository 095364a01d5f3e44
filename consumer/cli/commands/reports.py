"""Reports of several commands on standard error: errors of reading, hidden events, missing archives."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from consumer.archive.location import Location
from consumer.archive.reading.duplicates import Duplicates
from consumer.cli.printing import report_error
from consumer.errors import Exit, Fatal


def check_count(option: str, value: int | None) -> None:
    """Raises Fatal if the number of an option is negative."""
    if value is not None and value < 0:
        raise Fatal(Exit.SETTINGS, f"{option} {value}", "use a number from 0 on")


def report_faults(faults: Iterable[object]) -> Exit:
    """Report the faults, one line each. DAMAGED if there is anything."""
    status = Exit.OK
    for fault in faults:
        report_error(fault)
        status = Exit.DAMAGED
    return status


def report_hidden(duplicates: Duplicates) -> None:
    """Report how many events were hidden because they are marked as duplicates. Nothing if there is none."""
    if report := duplicates.report():
        report_error(report)


def report_no_archive(paths: Sequence[Location], yet: bool = False) -> None:
    """Report that no archive was found: the user may have named the wrong directory."""
    report_error(f"{', '.join(map(str, paths))}: no archive is there{' yet' if yet else ''}")


def report_missing(paths: Sequence[Location]) -> None:
    """Report the paths that do not exist, for a command that waits for them."""
    for path in paths:
        if isinstance(path, Path) and not path.exists():
            report_error(f"{path}: nothing is there yet")
