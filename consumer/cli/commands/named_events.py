"""The commands for events that are named by id or position: `get`, `delete` and `undelete`."""

import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from codec.counted import counted
from codec.event import Event, format_time
from consumer.archive.location import Location
from consumer.archive.reading.duplicates import DuplicateMode, Duplicates
from consumer.archive.reading.fault import ReadFault
from consumer.cli.commands.reports import report_faults, report_hidden
from consumer.cli.printing import print_line, report_error
from consumer.disk.durable import Disk
from consumer.errors import Exit
from consumer.query.named import (
    EventName,
    NamedEvents,
    Visibility,
    delete,
    find_named,
    find_named_with_duplicates,
    undelete,
)
from consumer.query.show import OutputOptions, Printer

LISTED_MAX = 10  # positions that the request for --yes lists


def get_events(paths: Sequence[Location], text: str, output: OutputOptions, mode: DuplicateMode) -> Exit:
    """Print the events with an id, or the one at a position, also if it is marked as a duplicate. NOT_FOUND if there is none.

    Raises Fatal for an empty id.
    """
    name = EventName.parse(text)
    duplicates = Duplicates(mode if name.position is None else DuplicateMode.SHOW)
    printer = Printer(sys.stdout.buffer, output)
    found: list[NamedEvents] = []
    faults: list[ReadFault] = []
    for verify_filters in (False, True):  # the second time, no filter is trusted: a damaged one could hide the event
        if not found:
            faults.clear()
            found = list(find_named(paths, name, Visibility.SHOWN, faults, verify_filters))
    shown = [(position, event) for position, event in _positions(found) if duplicates.shows(event)]
    for position, event in shown:
        printer.print(event, position)
    report_hidden(duplicates)
    missing = f"no event that is shown has the {name}" if found else f"no event has the {name}"
    return _status(faults, bool(shown), missing)


def delete_events(paths: Sequence[Path], text: str, *, dry_run: bool = False, yes: bool = False) -> Exit:
    """Hide the named events, durably. NOT_FOUND if there is none. Several events with one id are hidden only with `yes`.

    Duplicates of an event are deleted with it, because they hold the same bytes.
    Raises Fatal for an empty id, DeedboxError and OSError.
    """
    name = EventName.parse(text)
    faults: list[ReadFault] = []
    found = find_named_with_duplicates(paths, name, Visibility.KEPT, faults)
    count = sum(len(one.events) for one in found)
    if dry_run:
        for position, event in _positions(found):
            print_line(f"would be deleted: {_described(position, event)}")
    elif count > 1 and name.position is None and not yes:
        return _ask_for_yes(name, count, found)
    elif count:
        _delete(name, found)
    missing = f"no event has the {name}"
    if not count and any(find_named(paths, name, Visibility.DELETED, [])):
        missing = f"the event with the {name} is already deleted; `deedbox undelete` shows it again"
    return _status(faults, count > 0, missing)


def _delete(name: EventName, found: Sequence[NamedEvents]) -> None:
    now = format_time(time.time_ns() // 1000)
    hidden = sum(delete(Disk(), one, now) for one in found)
    print_line(
        f"{counted(hidden, 'event')} deleted: hidden from now on; `deedbox undelete` shows deleted events again, until "
        "`deedbox compact` removes them from sealed archives for good"
    )
    for position, event in _positions(found) if name.position is not None else ():
        if event.duplicate == name.text:
            print_line(f"deleted too: {position}, which is marked as a duplicate of it")
        elif event.duplicate:
            print_line(
                f"not deleted: {event.duplicate}, the first of the equal events; {position} is marked as a duplicate of it"
            )


def undelete_events(paths: Sequence[Path], text: str) -> Exit:
    """Show deleted events again. NOT_FOUND if none is deleted. Raises Fatal for an empty id, DeedboxError and OSError."""
    name = EventName.parse(text)
    faults: list[ReadFault] = []
    hidden = find_named_with_duplicates(paths, name, Visibility.DELETED, faults)
    shown = sum(undelete(Disk(), one) for one in hidden)
    if shown:
        print_line(f"{counted(shown, 'event')} undeleted: shown again")
    missing = f"no deleted event has the {name}; events that `deedbox compact` has removed cannot be restored"
    if not shown and any(find_named(paths, name, Visibility.SHOWN, [])):
        missing = f"the event with the {name} is not deleted"
    return _status(faults, shown > 0, missing)


def _ask_for_yes(name: EventName, count: int, found: Sequence[NamedEvents]) -> Exit:
    for position, event in islice(_positions(found), LISTED_MAX):
        report_error(_described(position, event))
    report_error(
        f"{count} events have the {name}, and none was deleted; add --yes to delete all of them, or name one position"
    )
    return Exit.SETTINGS


def _positions(found: Sequence[NamedEvents]) -> list[tuple[str, Event]]:
    return [pair for one in found for pair in one.positions()]


def _described(position: str, event: Event) -> str:
    kind, id = (text.encode("utf-8", "backslashreplace").decode() for text in (event.type, event.id))
    return f"{position}: id {id!r}, type {kind!r}, {format_time(event.time_us)}"


def _status(faults: Sequence[object], found: bool, missing: str) -> Exit:
    damaged = report_faults(faults)
    if not found:
        report_error(f"{missing}, in the archives that could be read" if faults else missing)
    if damaged:
        return damaged  # an archive that could not be read may hold the event
    return Exit.OK if found else Exit.NOT_FOUND
