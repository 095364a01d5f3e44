"""The commands that find, follow and convert events; `cli` has the others."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from consumer.cli.filters import NO_FILTERS, Filtered, Marked, zone_of
from consumer.cli.printing import discard_complaints

Format = Annotated[Literal["jsonl", "table", "raw"], Parameter(help="JSON lines, a table, or bodies.")]
Local = Annotated[bool, Parameter(negative=(), help="Times in the zone of this machine.")]
Workers = Annotated[int | None, Parameter(help="Processes that decode ahead. Default: chosen automatically.")]
Named = Annotated[str, Parameter(help="The id of an event, or its position, such as a1-00000007:41.")]


def _path(_: object, tokens: Sequence[cyclopts.Token]) -> Path:
    if not (text := tokens[0].value):
        raise cyclopts.CoercionError(
            msg="An empty path was given. Is a variable of the shell empty? Write . for this directory."
        )
    return Path(text)


OnePath = Annotated[Path, Parameter(converter=_path)]
Paths = Annotated[list[OnePath], Parameter(help="Archives, or directories of them.")]


def complain(text: str) -> None:
    """Say on standard error what went wrong. Where that cannot be written, the exit status has to do."""
    try:
        print(f"deedbox: {text}", file=sys.stderr, flush=True)
    except OSError:
        discard_complaints()


def search(
    paths: Paths,
    /,
    *,
    filters: Filtered = NO_FILTERS,
    order: Annotated[
        Literal["asc", "desc"], Parameter(help="By event time: asc, oldest first, or desc, newest first.")
    ] = "asc",
    limit: Annotated[int | None, Parameter(help="Maximum number of events. Default: no limit.")] = None,
    count: Annotated[bool, Parameter(negative=(), help="Print only the number of events.")] = False,
    explain: Annotated[bool, Parameter(negative=(), help="Print on standard error how much was read.")] = False,
    format: Format = "jsonl",
    local: Local = False,
    workers: Workers = None,
) -> int:
    """Find events, in the order of event time across all archives, open ones included. All filters must hold.

    Status 1 if something could not be read; what can be read is found nevertheless.
    Examples: `deedbox search DIR --since 2h --type 'compute.*'`, `deedbox search DIR --where 'payload.size>=10' --count`.
    """
    from consumer.cli.reading import OutputOptions, show_search

    answer = OutputOptions(order, limit, count, explain, format, zone_of(local), workers)
    return show_search(paths, filters.query(local), answer, print, complain)


def get(name: Named, paths: Paths, /, *, format: Format = "jsonl", duplicates: Marked = "hide") -> int:
    """Print the events with an id, or the event at a position. Status 3 if there is none.

    An event that is named by its position is printed also if it is marked as a duplicate.
    Examples: `deedbox get 38c0c8fd-8712 DIR`, `deedbox get a1-00000007:41 DIR`.
    """
    from consumer.cli.deleting import show_event

    return show_event(paths, name, format, duplicates, complain)


def delete(
    name: Named,
    paths: Paths,
    /,
    *,
    dry_run: Annotated[bool, Parameter(negative=(), help="Print what would be deleted, and delete nothing.")] = False,
    yes: Annotated[bool, Parameter(negative=(), help="Delete also if several events have the id.")] = False,
) -> int:
    """Hide an event from every command at once, for good reasons such as privacy. `undelete` shows it again, until `compact`.

    What is marked as a duplicate of the event at a position is deleted with it.
    If several events have the id, nothing is deleted without --yes. Status 3 if there is none.
    Examples: `deedbox delete 38c0c8fd-8712 DIR --dry-run`, `deedbox delete a1-00000007:41 DIR`.
    """
    from consumer.cli import deleting

    return deleting.delete(paths, name, deleting.Terminal(print, complain), dry_run=dry_run, yes=yes)


def undelete(name: Named, paths: Paths, /) -> int:
    """Show deleted events again that `compact` has not taken out. Status 3 if there is none.

    Examples: `deedbox undelete 38c0c8fd-8712 DIR`, `deedbox undelete a1-00000007:41 DIR`.
    """
    from consumer.cli import deleting

    return deleting.undelete(paths, name, deleting.Terminal(print, complain))


def compact(
    paths: Paths,
    /,
    *,
    repack: Annotated[bool, Parameter(help="Merge small batches instead, where that pays.", negative="")] = False,
) -> int:
    """Take deleted events out of sealed archives for good. Every other event keeps its position.

    With --repack, merge small batches instead: same events, same positions, smaller files. The service does it by itself.
    Examples: `deedbox compact DIR`, `deedbox compact DIR/20261121`, `deedbox compact --repack DIR`.
    """
    from consumer.archive.rewriting.repacker import show_repacking
    from consumer.cli.deleting import show_compaction

    return show_repacking(paths, print) if repack else show_compaction(paths, print)


def import_(
    paths: Annotated[list[OnePath], Parameter(help="Files, or directories of them.")],
    /,
    *,
    format: Annotated[
        Literal["shoebox", "theia", "cloudinit", "jsonl"],
        Parameter(help="What wrote them; shoebox and jsonl also read gzip files."),
    ],
    dir: Annotated[OnePath, Parameter(help="The directory of the archives.")],
    instance: Annotated[str, Parameter(help="The name of the writer; unique in the directory.")] = "import",
) -> int:
    """Archive the events of other systems' files. What is no event is named on standard error, and the status is 1."""
    from consumer.cli.converting import import_files

    return import_files(paths, format, dir, instance, print, complain)


def export(
    paths: Paths,
    /,
    *,
    format: Annotated[
        Literal["shoebox", "shoebox-json", "theia", "cloudinit", "jsonl", "parquet"],
        Parameter(help="The format of the files; parquet needs the extra parquet."),
    ],
    out: Annotated[OnePath, Parameter(help="The directory for the files; none is ever replaced.")],
    filters: Filtered = NO_FILTERS,
) -> int:
    """Write events as files of other systems. Losses are reported; status 1 if an event was left out.

    Examples: `deedbox export DIR --format jsonl --out FILES`, `deedbox export DIR --format theia --out FILES --since 1d`.
    """
    from consumer.cli.converting import export_events

    return export_events(paths, filters.query(), format, out, print, complain)


def tail(
    paths: Paths,
    /,
    *,
    newest: Annotated[
        int | None,
        Parameter(
            name=["--newest", "-n"],
            help="Maximum number of events to begin with: those that arrived last. Default: 10.",
        ),
    ] = None,
    follow: Annotated[
        bool, Parameter(name=["--follow", "-f"], negative=(), help="Go on with events as they are archived.")
    ] = False,
    checkpoint: Annotated[
        str | None,
        Parameter(help="Name under which the directory remembers what was printed: the next run goes on after it."),
    ] = None,
    filters: Filtered = NO_FILTERS,
    format: Format = "jsonl",
    local: Local = False,
) -> int:
    """Print the events that arrived last, in the order of their arrival; with -f, follow all instances of a directory, through rolls and restarts.

    An event is printed only after its sync has returned. With --checkpoint, the first run begins with the oldest event, and each later run goes on
    after the last batch that was printed: nothing is skipped, and after a kill at most one batch is repeated.
    For the newest by event time: `deedbox search DIR --order desc --limit 10`.
    Examples: `deedbox tail DIR -n 100`, `deedbox tail -f DIR --type 'compute.*'`, `deedbox tail -f DIR --checkpoint billing`.
    """
    from consumer.cli.reading import TailOptions, show_tail
    from consumer.query.show import Printer

    query = filters.query(local)
    options = TailOptions(newest, follow, checkpoint)
    return show_tail(paths, query, options, Printer(sys.stdout.buffer, format, zone_of(local)), complain)


def add_to(app: cyclopts.App) -> None:
    """Make these commands of `app`."""
    app.command(import_, name="import")
    for command in (search, get, delete, undelete, compact, tail, export):
        app.command(command)
