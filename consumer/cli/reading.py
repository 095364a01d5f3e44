"""The commands that read archives, behind `cli`: each puts a question together, prints the answer, and says how it went."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import partial
from itertools import islice
from pathlib import Path

from codec.event import format_time
from consumer.archive.checking import report as show
from consumer.archive.checking.acknowledged import acknowledge, settle
from consumer.archive.checking.verdict import Verdict
from consumer.archive.listing import find_archives
from consumer.archive.reading.cat import Choice, cat_archives
from consumer.archive.reading.duplicates import Duplicates
from consumer.archive.reading.fault import ReadFault
from consumer.cli.printing import reader_gone
from consumer.cli.progress import progress
from consumer.disk.durable import Disk
from consumer.errors import Exit, Fatal
from consumer.follow.checkpoint import Checkpoint
from consumer.follow.tail import Tail
from consumer.query.prefetch import scan, workers
from consumer.query.query import Judge, Query
from consumer.query.search import Found, Search
from consumer.query.show import Printer
from consumer.watch.backends import choose

Say = Callable[[str], None]
FOLLOW_S = 0.25  # how late a change is seen that no backend told of


@dataclass(frozen=True)
class OutputOptions:
    """How `search` answers."""

    order: str = "asc"
    limit: int | None = None
    count: bool = False
    explain: bool = False
    format: str = "jsonl"
    zone: tzinfo = UTC
    workers: int | None = None


def show_search(paths: Sequence[Path], query: Query, answer: OutputOptions, say: Say, complain: Say) -> Exit:
    """Print what is found; OK, or DAMAGED if something could not be read."""
    if answer.limit is not None and answer.limit < 0:
        raise Fatal(Exit.SETTINGS, f"--limit {answer.limit}", "name a number from 0 on")
    search = Search(paths, query, answer.order == "desc")
    planned = search.plan()  # also for no events at all: a path that cannot be read is a fault
    amount = planned if answer.limit is None or query.match or query.where else 0
    with workers(amount, answer.workers) as search.executor:
        found = islice(search, None if answer.limit is None else min(answer.limit, sys.maxsize))
        if answer.count:
            say(str(sum(1 for _ in found)))
        else:
            printer = Printer(sys.stdout.buffer, answer.format, answer.zone)
            for event, position in found:
                printer.print(event, position)
    if not search.archives:
        complain(_nothing(paths))
    if answer.explain:
        complain(search.explain())
    report_hidden(search.duplicates, complain)
    return _told(search.faults, complain)


def _nothing(paths: Sequence[Path]) -> str:
    """Why nothing is printed: it may be another directory than the one that was meant."""
    return f"{', '.join(map(str, paths))}: no archive is there"


def report_hidden(duplicates: Duplicates, complain: Say) -> None:
    """Say how many events were hidden because they are marked, if there were any."""
    if report := duplicates.report():
        complain(report)


def cat_all(
    paths: Sequence[Path], query: Query, format: str, zone: tzinfo, complain: Say, limit: int | None = None
) -> Exit:
    """Print what the query accepts, in the order of the archives; DAMAGED if something could not be read."""
    if limit is not None and limit < 0:
        raise Fatal(Exit.SETTINGS, f"--limit {limit}", "name a number from 0 on")
    out = sys.stdout.buffer
    in_zone = format == "table" or (zone is not UTC and format == "jsonl")
    shown = Printer(out, format, zone).encode if in_zone else format
    faults: list[str] = []
    duplicates = Duplicates(query.duplicates)
    everything = query == Query(duplicates=query.duplicates)
    chosen = None if everything else Choice(query.wanted, Judge(query, faults.append))
    damaged = cat_archives(list(paths), shown, out, lambda fault: complain(str(fault)), chosen, duplicates, limit)
    if not find_archives(paths):
        complain(_nothing(paths))
    report_hidden(duplicates, complain)
    return max(_told(faults, complain), Exit.DAMAGED if damaged else Exit.OK)


def show_verdicts(paths: Sequence[Path], wanted: int | None, format: str, say: Say, signed: str | None = None) -> Exit:
    """Verify, and tell; DAMAGED if something is missing or wrong.

    With `signed`, the faults are acknowledged with this reason, which may be empty. Raises DeedboxError and OSError.
    """
    amount = sum(map(_size, find_archives(list(paths))))
    with progress("verifying", amount, lines=True) as advance, workers(amount, wanted) as executor:
        tell = show.tell_line if format == "jsonl" else show.tell_text
        sign = (lambda _: None) if signed is None else partial(_sign, signed)
        complete = show.show_verdicts(list(paths), say, tell, partial(scan, executor), advance, sign)
    return Exit.OK if complete else Exit.DAMAGED


def _sign(reason: str, verdict: Verdict) -> None:
    acknowledge(Disk(), verdict, reason, format_time(time.time_ns() // 1000))
    settle(verdict)


def _size(path: Path) -> int:
    """How large a file is; 0 if it is gone or cannot be read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _told(faults: Sequence[str | ReadFault], complain: Say) -> Exit:
    for fault in faults:
        complain(str(fault))
    return Exit.DAMAGED if faults else Exit.OK


@dataclass(frozen=True)
class TailOptions:
    """How `tail` begins and ends. `checkpoint`: the name of a checkpoint of the directory."""

    newest: int | None = None
    follow: bool = False
    checkpoint: str | None = None


def show_tail(paths: Sequence[Path], query: Query, options: TailOptions, printer: Printer, complain: Say) -> Exit:
    """Print the events that arrived last, and what follows; DAMAGED if something could not be read."""
    if options.newest is not None and options.newest < 0:
        raise Fatal(Exit.SETTINGS, f"--newest {options.newest}", "name a number from 0 on")
    tail = Tail(paths, query)
    if not options.follow:
        tail.faults += [f"{path}: nothing is there" for path in paths if not path.exists()]
    with ExitStack() as stack:
        if options.checkpoint is not None:
            stack.callback(_resume(tail, paths, options, options.checkpoint).close)
        if not find_archives(paths):
            complain(f"{_nothing(paths)} yet" if options.follow else _nothing(paths))
        stack.callback(report_hidden, tail.duplicates, complain)  # also when its reader or its user ends it
        return _print_tail(tail, options, printer, complain)


def _resume(tail: Tail, paths: Sequence[Path], options: TailOptions, name: str) -> Checkpoint:
    """Set the tail after what the checkpoint confirmed. Raises DeedboxError."""
    if len(paths) != 1:
        raise Fatal(Exit.SETTINGS, f"--checkpoint {name} with {len(paths)} paths", "name one archive directory")
    if options.newest is not None:
        what = f"--checkpoint {name} with --newest {options.newest}"
        raise Fatal(Exit.SETTINGS, what, "name one of them: a new checkpoint begins with the oldest event")
    checkpoint = Checkpoint(Disk(), paths[0], name)
    try:
        tail.resume(checkpoint, paths[0])
    except BaseException:
        checkpoint.close()
        raise
    return checkpoint


def _print_tail(tail: Tail, options: TailOptions, printer: Printer, complain: Say) -> Exit:
    newest = tail.newest(10 if options.newest is None else options.newest) if options.checkpoint is None else []
    told = _print_all(tail, newest, printer, complain)
    backend = choose(every_write=True) if options.follow else None
    while not reader_gone():
        if options.follow or options.checkpoint is not None:
            for batch in tail.batches():
                told = max(told, _print_all(tail, batch.found, printer, complain))
                tail.confirm(batch)
            told = max(told, _print_all(tail, (), printer, complain))
            tail.store()
        if backend is None:
            break
        tail.wait(backend, FOLLOW_S)
    return told


def _print_all(tail: Tail, found: Iterable[Found], printer: Printer, complain: Say) -> Exit:
    for event, position in found:
        printer.print(event, position)
    printer.flush()
    faults = tail.faults.copy()
    tail.faults.clear()
    return _told(faults, complain)
