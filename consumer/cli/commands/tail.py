"""The command `tail`: print the events that arrived last, and follow those that are archived from now on."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from consumer.archive.listing import find_archives
from consumer.archive.location import Location
from consumer.archive.reading.fault import ReadFault
from consumer.cli.commands.reports import check_count, report_faults, report_hidden, report_missing, report_no_archive
from consumer.cli.printing import reader_gone
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal
from consumer.follow.checkpoint import Checkpoint
from consumer.follow.latest import Latest
from consumer.follow.tail import Tail
from consumer.query.query import Query
from consumer.query.search import Found
from consumer.query.show import Printer
from consumer.watch.backends import choose

NEWEST = 10
FOLLOW_S = 0.25  # the longest delay of a change that the file monitor did not report


@dataclass(frozen=True)
class TailOptions:
    """Where `tail` begins and ends. `newest`: number of events at the start; None: NEWEST. `checkpoint`: name of a checkpoint of the directory."""

    newest: int | None = None
    follow: bool = False
    checkpoint: str | None = None


def print_tail(paths: Sequence[Location], query: Query, options: TailOptions, printer: Printer) -> Exit:
    """Print the newest events, and with `follow` all later ones. DAMAGED if something could not be read.

    Raises Fatal for options that do not fit together.
    """
    check_count("--newest", options.newest)
    local = [path for path in paths if isinstance(path, Path)]
    if len(local) == len(paths):
        return _print_local(local, query, options, printer)
    if options.follow or options.checkpoint is not None:
        option, (url, *_) = "--follow" if options.follow else "--checkpoint", (set(paths) - set(local))
        what = f"{url}: {option} works on local archives only"
        raise Fatal(Exit.SETTINGS, what, "use it where the archives are made, or ask again for the newest events")
    return _print_latest(paths, query, options, printer)


def _print_latest(paths: Sequence[Location], query: Query, options: TailOptions, printer: Printer) -> Exit:
    latest = Latest(paths, query)
    for event, position in latest.newest(NEWEST if options.newest is None else options.newest):
        printer.print(event, position)
    printer.flush()
    if not (latest.archives or latest.faults):
        report_no_archive(paths)
    report_hidden(latest.duplicates)
    return report_faults(latest.faults)


def _print_local(paths: Sequence[Path], query: Query, options: TailOptions, printer: Printer) -> Exit:
    tail = Tail(paths, query)
    if options.follow:
        report_missing(paths)
    else:
        tail.follower.patience_s = 0.0
        tail.faults += [ReadFault(path, None, "nothing is there") for path in paths if not path.exists()]
    with ExitStack() as stack:
        if options.checkpoint is not None:
            stack.callback(_resume(tail, paths, options, options.checkpoint).close)
            stack.callback(tail.store)
        if not find_archives(paths):
            report_no_archive(paths, yet=options.follow)
        stack.callback(report_hidden, tail.duplicates)  # also when the reader of the output, or the user, ends it
        return _print_tail(tail, options, printer)


def _resume(tail: Tail, paths: Sequence[Path], options: TailOptions, name: str) -> Checkpoint:
    """Continue after the last event that the checkpoint confirmed. Raises DeedboxError."""
    if len(paths) != 1:
        raise Fatal(Exit.SETTINGS, f"--checkpoint {name} with {len(paths)} paths", "name one archive directory")
    if options.newest is not None:
        what = f"--checkpoint {name} with --newest {options.newest}"
        raise Fatal(Exit.SETTINGS, what, "use one of them: a new checkpoint begins with the oldest event")
    checkpoint = Checkpoint(Disk(), paths[0], name)
    try:
        tail.resume(checkpoint, paths[0])
    except BaseException:
        checkpoint.close()
        raise
    return checkpoint


def _print_tail(tail: Tail, options: TailOptions, printer: Printer) -> Exit:
    newest = tail.newest(NEWEST if options.newest is None else options.newest) if options.checkpoint is None else []
    status = _print_all(tail, newest, printer)
    backend = choose(every_write=True) if options.follow else None
    while not reader_gone():
        if options.follow or options.checkpoint is not None:
            status = max(status, _print_batches(tail, printer))
        if backend is None:
            break
        tail.wait(backend, FOLLOW_S)
    return status


def _print_batches(tail: Tail, printer: Printer) -> Exit:
    """Print the committed events, batch by batch. A batch is confirmed after it was printed: after a kill it is printed again."""
    status = Exit.OK
    for batch in tail.batches():
        status = max(status, _print_all(tail, batch.found, printer))
        tail.confirm(batch)
    return max(status, _print_all(tail, (), printer))


def _print_all(tail: Tail, found: Iterable[Found], printer: Printer) -> Exit:
    for event, position in found:
        printer.print(event, position)
    printer.flush()
    faults = tail.faults.copy()
    tail.faults.clear()
    return report_faults(faults)
