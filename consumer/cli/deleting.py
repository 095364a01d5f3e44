"""The commands for events that are named, behind `cli`: get, delete, undelete, compact."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from codec.event import Event, format_time
from consumer.archive.counted import counted, outcome
from consumer.archive.reading.duplicates import Duplicates, Mode
from consumer.archive.reading.fault import ReadFault
from consumer.archive.rewriting.compact import compact
from consumer.disk.durable import Disk
from consumer.errors import Exit
from consumer.query.named import Hits, Name, find_named, hide, show_again, with_marked
from consumer.query.show import Printer

Say = Callable[[str], None]
LISTED_MAX = 10  # positions that a question lists


@dataclass(frozen=True)
class Terminal:
    """Where results and complaints go."""

    say: Say
    complain: Say


def show_event(paths: Sequence[Path], text: str, format: str, mode: Mode, complain: Say) -> Exit:
    """Print the events with an id, or the one at a position, also if it is marked; NOT_FOUND if there is none.

    Raises Fatal for an empty id.
    """
    name = Name.parse(text)
    duplicates = Duplicates(mode if name.position is None else "show")
    printer = Printer(sys.stdout.buffer, format)
    found: list[Hits] = []
    faults: list[ReadFault] = []
    for proven in (False, True):  # a damaged filter must not make an event seem to be missing
        if not found:
            faults.clear()
            found = list(find_named(paths, name, "shown", faults, proven))
    shown = [(position, event) for position, event in _positions(found) if duplicates.shows(event)]
    for position, event in shown:
        printer.print(event, position)
    if report := duplicates.report():
        complain(report)
    return _status(
        faults,
        bool(shown),
        f"no event has the {name}" if not found else f"no event that is shown has the {name}",
        complain,
    )


def delete(paths: Sequence[Path], text: str, terminal: Terminal, *, dry_run: bool = False, yes: bool = False) -> Exit:
    """Hide the named events, durably; NOT_FOUND if there is none. Several with one id are hidden only with `yes`.

    What is marked as a duplicate of an event goes with it: it holds the same bytes.
    Raises Fatal for an empty id, DeedboxError and OSError.
    """
    name = Name.parse(text)
    faults: list[ReadFault] = []
    hits = with_marked(paths, name, "kept", faults)
    count = sum(len(one.events) for one in hits)
    if dry_run:
        for position, event in _positions(hits):
            terminal.say(f"would be deleted: {_shown(position, event)}")
    elif count > 1 and name.position is None and not yes:
        return _refuse(name, count, hits, terminal.complain)
    elif count:
        now = format_time(time.time_ns() // 1000)
        hidden = sum(hide(Disk(), one, now) for one in hits)
        terminal.say(
            f"{counted(hidden, 'event')} deleted: hidden from now on; `deedbox undelete` takes that back, until `deedbox compact` "
            "takes deleted events out of sealed archives for good"
        )
        _tell_marked(name, hits, terminal.say)
    missing = f"no event has the {name}"
    if not count and any(find_named(paths, name, "deleted", [])):
        missing = f"the event with the {name} is deleted already; `deedbox undelete` shows it again"
    return _status(faults, count > 0, missing, terminal.complain)


def _tell_marked(name: Name, hits: Sequence[Hits], say: Say) -> None:
    """Say which events went with the one at a position, or that the first one stays."""
    for position, event in _positions(hits):
        if name.position is not None and event.duplicate == name.text:
            say(f"deleted with it: {position}, which is marked as a duplicate of it")
        elif name.position is not None and event.duplicate:
            say(
                f"not deleted: {event.duplicate}, the first of the equal events; {position} is marked as a duplicate of it"
            )


def undelete(paths: Sequence[Path], text: str, terminal: Terminal) -> Exit:
    """Show deleted events again; NOT_FOUND if none is deleted. Raises Fatal for an empty id, DeedboxError and OSError."""
    name = Name.parse(text)
    faults: list[ReadFault] = []
    hidden = with_marked(paths, name, "deleted", faults)
    shown = sum(show_again(Disk(), hits) for hits in hidden)
    if shown:
        terminal.say(f"{counted(shown, 'event')} undeleted: shown again")
    missing = f"no deleted event has the {name}; what `deedbox compact` has taken out is gone"
    if not shown and any(find_named(paths, name, "shown", [])):
        missing = f"the event with the {name} is not deleted"
    return _status(faults, shown > 0, missing, terminal.complain)


def show_compaction(paths: Sequence[Path], say: Say) -> Exit:
    """Take deleted events out of sealed archives, and report it; DAMAGED if an archive is as it was although it holds deleted events."""
    told, count = Exit.OK, 0
    for count, done in enumerate(compact(Disk(), paths), 1):  # noqa: B007 -- used after the loop
        reason = f": {done.reason}" if done.reason else ""
        did = f": {counted(done.events, 'event')}" if done.events else ""
        did += f", {_change(done.saved)}" if done.outcome == "compacted" else ""
        say(f"{done.outcome}: {done.path}{did}{reason}")
        told = Exit.DAMAGED if done.outcome in ("busy", "damaged", "failed", "unreadable", "refused") else told
    say(outcome(count, told != Exit.OK, "compacted"))
    return told


def _refuse(name: Name, count: int, hits: Sequence[Hits], complain: Say) -> Exit:
    for position, event in islice(_positions(hits), LISTED_MAX):
        complain(_shown(position, event))
    complain(f"{count} events have the {name}: nothing is deleted; repeat it with --yes for all, or with one position")
    return Exit.SETTINGS


def _positions(hits: Sequence[Hits]) -> list[tuple[str, Event]]:
    return [pair for one in hits for pair in one.positions()]


def _shown(position: str, event: Event) -> str:
    kind, id = (text.encode("utf-8", "backslashreplace").decode() for text in (event.type, event.id))
    return f"{position}: id {id!r}, type {kind!r}, {format_time(event.time_us)}"


def _status(faults: Sequence[ReadFault], found: bool, missing: str, complain: Say) -> Exit:
    for fault in faults:
        complain(str(fault))
    if not found:
        complain(f"{missing}, as far as everything could be read" if faults else missing)
    if faults:
        return Exit.DAMAGED  # what could not be read may hold the event
    return Exit.OK if found else Exit.NOT_FOUND


def _change(saved: int) -> str:
    return f"{saved} bytes smaller" if saved >= 0 else f"{-saved} bytes larger"
