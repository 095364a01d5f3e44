"""The commands that read archives, behind `cli`: each puts a question together, prints the answer, and says how it went."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import partial
from itertools import islice
from pathlib import Path

from codec.event import format_time
from consumer.archive import show
from consumer.archive.cat import Choice, cat_archives
from consumer.archive.catalog import Entry, copies_of
from consumer.archive.compact import compact
from consumer.archive.durable import Disk
from consumer.archive.listing import find_archives
from consumer.archive.reader import open_archive
from consumer.archive.tombstones import add_tombstones
from consumer.errors import Exit, Fatal
from consumer.output import reader_gone
from consumer.progress import progress
from consumer.query.prefetch import scan, workers
from consumer.query.query import Judge, Query, make_query
from consumer.query.search import Found, Search, read_events
from consumer.query.show import Printer
from consumer.query.tail import Tail
from consumer.watch.backends import choose

Say = Callable[[str], None]
FOLLOW_S = 0.25  # how late a change is seen that no backend told of


@dataclass(frozen=True)
class Answer:
    """How `search` answers."""

    order: str = "asc"
    limit: int | None = None
    count: bool = False
    explain: bool = False
    format: str = "jsonl"
    zone: tzinfo = UTC
    workers: int | None = None


def show_search(paths: Sequence[Path], query: Query, answer: Answer, say: Say, complain: Say) -> Exit:
    """Print what is found; OK, or DAMAGED if something could not be read."""
    if answer.limit is not None and answer.limit < 0:
        raise Fatal(Exit.SETTINGS, f"--limit {answer.limit}", "name a number from 0 on")
    search = Search(paths, query, answer.order == "desc")
    amount = search.plan() if answer.limit is None or query.match or query.where else 0
    with workers(amount, answer.workers) as search.executor:
        found = islice(search, None if answer.limit is None else min(answer.limit, sys.maxsize))
        if answer.count:
            say(str(sum(1 for _ in found)))
        else:
            printer = Printer(sys.stdout.buffer, answer.format, answer.zone)
            for event, position in found:
                printer.print(event, position)
    if answer.explain:
        complain(search.explain())
    return _told(search.faults, complain)


def cat_all(paths: Sequence[Path], query: Query, format: str, zone: tzinfo, complain: Say) -> Exit:
    """Print what the query accepts, in the order of the archives; DAMAGED if something could not be read."""
    out = sys.stdout.buffer
    in_zone = format == "table" or (zone is not UTC and format == "jsonl")
    shown = Printer(out, format, zone).encode if in_zone else format
    faults: list[str] = []
    chosen = None if query == Query() else Choice(query.wanted, Judge(query, faults.append))
    damaged = cat_archives(list(paths), shown, out, complain, chosen)
    return max(_told(faults, complain), Exit.DAMAGED if damaged else Exit.OK)


def show_verdicts(paths: Sequence[Path], wanted: int | None, format: str, say: Say) -> Exit:
    """Verify, and tell; DAMAGED if something is missing or wrong."""
    amount = sum(map(_size, find_archives(list(paths))))
    with progress("verifying", amount, lines=True) as advance, workers(amount, wanted) as executor:
        tell = show.tell_line if format == "jsonl" else show.tell_text
        complete = show.show_verdicts(list(paths), say, tell, partial(scan, executor), advance)
    return Exit.OK if complete else Exit.DAMAGED


def _size(path: Path) -> int:
    """How large a file is; 0 if it is gone or cannot be read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def show_event(paths: Sequence[Path], id: str, format: str, complain: Say) -> Exit:
    """Print the events with an id; NOT_FOUND if there is none."""
    printer = Printer(sys.stdout.buffer, format)
    for proven in (False, True):  # a damaged filter must not make an event seem to be missing
        search = Search(paths, make_query(ids=[id]), proven=proven)
        found = list(search)
        if found:
            break
    for event, position in found:
        printer.print(event, position)
    told = _told(search.faults, complain)
    return told if found else _not_found(id, complain)


def _not_found(id: str, complain: Say) -> Exit:
    complain(f"no event has the id {id!r}")
    return Exit.NOT_FOUND


def delete(paths: Sequence[Path], id: str, say: Say, complain: Say) -> Exit:
    """Hide the events with an id, durably; NOT_FOUND if there is none. Raises DeedboxError and OSError."""
    query = make_query(ids=[id])
    now = format_time(time.time_ns() // 1000)
    found = hidden = 0
    faults: list[str] = []
    for copies in copies_of(paths, query.wanted, proven=True):
        counts = [
            _hide(entry, query, id, now, faults) for entry in copies
        ]  # each copy has its own tombstones beside it
        found += max(count for count, _ in counts)
        hidden += max(count for _, count in counts)
    told = _told(faults, complain)
    if not found:
        return _not_found(id, complain)
    say(f"{hidden} deleted: hidden from now on; `deedbox compact` takes them out of sealed archives for good")
    return told


def _hide(entry: Entry, query: Query, id: str, now: str, faults: list[str]) -> tuple[int, int]:
    """Hide what the query accepts in one file; gives how many events were found, and how many of them were not hidden before."""
    faults += entry.faults
    reads = [read_events(entry.path, batch, entry.tombstones, query) for batch in entry.batches]
    faults += [read.fault for read in reads if read.fault]
    numbers = [number for read in reads for number, _ in read.events]
    if not numbers:
        return 0, 0
    with open_archive(entry.path) as archive:
        return len(numbers), add_tombstones(Disk(), archive, numbers, id, now)


def show_compaction(paths: Sequence[Path], say: Say) -> Exit:
    """Take deleted events out of sealed archives, and tell; DAMAGED if an archive must be repaired first."""
    told = Exit.OK
    for done in compact(Disk(), paths):
        say(
            f"{done.outcome}: {done.path}: {done.events} events, {done.saved} bytes{': ' + done.reason if done.reason else ''}"
        )
        told = Exit.DAMAGED if done.outcome in ("damaged", "unreadable") else told
    say("nothing else to do")
    return told


def _told(faults: Sequence[str], complain: Say) -> Exit:
    for fault in faults:
        complain(fault)
    return Exit.DAMAGED if faults else Exit.OK


def show_tail(paths: Sequence[Path], query: Query, newest: int, follow: bool, printer: Printer, complain: Say) -> Exit:
    """Print the events that arrived last, and what follows; DAMAGED if something could not be read."""
    if newest < 0:
        raise Fatal(Exit.SETTINGS, f"--newest {newest}", "name a number from 0 on")
    tail = Tail(paths, query)
    if not follow:
        tail.faults += [f"{path}: nothing is there" for path in paths if not path.exists()]
    told = _print_all(tail, tail.newest(newest), printer, complain)
    backend = choose(growth=True) if follow else None
    while backend is not None and not reader_gone():
        told = max(told, _print_all(tail, tail.read(), printer, complain))
        tail.wait(backend, FOLLOW_S)
    return told


def _print_all(tail: Tail, found: Iterable[Found], printer: Printer, complain: Say) -> Exit:
    for event, position in found:
        printer.print(event, position)
    printer.flush()
    faults = tail.faults.copy()
    tail.faults.clear()
    return _told(faults, complain)
