"""The commands that find, follow and convert events; `cli` has the others."""

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

Format = Annotated[Literal["jsonl", "table", "raw"], Parameter(help="JSON lines, a table, or bodies.")]
Local = Annotated[bool, Parameter(negative=(), help="Times in the zone of this machine.")]
Workers = Annotated[int | None, Parameter(help="Processes that decode ahead; as many as pay, by default.")]
Paths = Annotated[list[Path], Parameter(help="Archives, or directories of them.")]


def complain(text: str) -> None:
    """Say on standard error what went wrong. Where that cannot be written, the exit status has to do."""
    with suppress(OSError):
        print(f"deedbox: {text}", file=sys.stderr, flush=True)


def search(
    paths: Paths,
    /,
    *,
    since: Annotated[str | None, Parameter(help="From this time on: ISO 8601, or 15m, 2h, 7d for so long ago.")] = None,
    until: Annotated[str | None, Parameter(help="Up to this time, inclusive.")] = None,
    type: Annotated[
        tuple[str, ...], Parameter(negative=(), help="A glob; with ! in front, what is left out. Repeatable.")
    ] = (),
    tag: Annotated[tuple[str, ...], Parameter(negative=(), help="Must have this tag. Repeatable.")] = (),
    id: Annotated[tuple[str, ...], Parameter(negative=(), help="One of these ids. Repeatable.")] = (),
    exchange: Annotated[str | None, Parameter(help="A glob for the exchange.")] = None,
    routing_key: Annotated[str | None, Parameter(help="A glob for the routing key.")] = None,
    match: Annotated[str | None, Parameter(help="A regular expression, anywhere in the body.")] = None,
    where: Annotated[
        tuple[str, ...], Parameter(negative=(), help="A condition on a JSON body: payload.size>=10. Repeatable.")
    ] = (),
    order: Annotated[Literal["asc", "desc"], Parameter(help="By time, the oldest or the newest first.")] = "asc",
    limit: Annotated[int | None, Parameter(help="At most so many.")] = None,
    count: Annotated[bool, Parameter(negative=(), help="Only say how many.")] = False,
    explain: Annotated[bool, Parameter(negative=(), help="Say on standard error what was read.")] = False,
    format: Format = "jsonl",
    local: Local = False,
    workers: Workers = None,
) -> int:
    """Find events, by time across all archives, open ones included. All conditions must hold.

    Status 1 if something could not be read; what is whole is found all the same.
    """
    from consumer.reading import Answer, Asked, show_search

    asked = Asked(since, until, id, type, tag, exchange, routing_key, match, where, local)
    return show_search(paths, asked, Answer(order, limit, count, explain, format, workers), print, complain)


def get(id: str, paths: Paths, /, *, format: Format = "jsonl") -> int:
    """Print the event with this id. Status 3 if there is none."""
    from consumer.reading import show_event

    return show_event(paths, id, format, complain)


def delete(id: str, paths: Paths, /) -> int:
    """Hide the events with this id at once, for good reasons such as privacy. Status 3 if there is none."""
    from consumer import reading

    return reading.delete(paths, id, print, complain)


def compact(paths: Paths, /) -> int:
    """Take deleted events out of sealed archives for good. Every other event keeps its place."""
    from consumer.reading import show_compaction

    return show_compaction(paths, print)


def import_(
    paths: Annotated[list[Path], Parameter(help="Files, or directories of them.")],
    /,
    *,
    format: Annotated[
        Literal["shoebox", "theia", "cloudinit", "jsonl"],
        Parameter(help="What wrote them; shoebox and jsonl also read gzip files."),
    ],
    dir: Annotated[Path, Parameter(help="The directory of the archives.")],
    instance: Annotated[str, Parameter(help="Who writes; unique in the directory.")] = "import",
) -> int:
    """Archive the events of other systems' files. What is no event is named on standard error, and the status is 1."""
    from consumer.converting import import_files

    return import_files(paths, format, dir, instance, print, complain)


def export(
    paths: Paths,
    /,
    *,
    format: Annotated[
        Literal["shoebox", "shoebox-json", "theia", "cloudinit", "jsonl", "parquet"],
        Parameter(help="Whose files; parquet needs the extra of that name."),
    ],
    out: Annotated[Path, Parameter(help="The directory for the files; none is ever replaced.")],
    since: Annotated[str | None, Parameter(help="From this time on.")] = None,
    until: Annotated[str | None, Parameter(help="Up to this time, inclusive.")] = None,
    type: Annotated[tuple[str, ...], Parameter(negative=(), help="A glob, as for search. Repeatable.")] = (),
) -> int:
    """Write events as files of other systems. What a format has no place for is said; status 1 if an event was left out."""
    from consumer.converting import export_events
    from consumer.reading import Asked

    query = Asked(since=since, until=until, types=type).query(time.time_ns() // 1000)
    return export_events(paths, query, format, out, print, complain)


def tail(
    paths: Paths,
    /,
    *,
    newest: Annotated[
        int, Parameter(name=["--newest", "-n"], help="Maximum number of events to begin with: those that arrived last.")
    ] = 10,
    follow: Annotated[
        bool, Parameter(name=["--follow", "-f"], negative=(), help="Go on with what is archived.")
    ] = False,
    type: Annotated[tuple[str, ...], Parameter(negative=(), help="A glob, as for search. Repeatable.")] = (),
    match: Annotated[str | None, Parameter(help="A regular expression, anywhere in the body.")] = None,
    where: Annotated[tuple[str, ...], Parameter(negative=(), help="A condition, as for search. Repeatable.")] = (),
    format: Format = "jsonl",
    local: Local = False,
) -> int:
    """Print the events that arrived last, in the order of their arrival; with -f, follow all instances of a directory, through rolls and restarts.

    For the newest by event time: `deedbox search --order desc --limit 10`.
    """
    from consumer.reading import Asked, show_tail

    asked = Asked(types=type, match=match, where=where, local=local)
    return show_tail(paths, asked, newest, follow, format, complain)


def add_to(app: cyclopts.App) -> None:
    """Make these commands of `app`."""
    app.command(import_, name="import")
    for command in (search, get, delete, compact, tail, export):
        app.command(command)
