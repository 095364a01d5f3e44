"""The commands that read archives: ls, cat, search, get and tail."""

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from consumer.cli.command import OUTPUT, READ, command
from consumer.cli.filters import NO_FILTERS, DuplicatesOption, Filtered, zone_of
from consumer.cli.parameters import (
    FROM_ENVIRONMENT,
    Cluster,
    Columns,
    EventFormat,
    EventName,
    JsonBody,
    Limit,
    Local,
    Paths,
    Storage,
    Workers,
)


@command("ls", READ, "ls DIR", "ls DIR --format jsonl", "ls DIR/20261121 DIR/a1-00000007.kvp.zst.open")
def ls(
    paths: Paths,
    /,
    *,
    format: Annotated[
        Literal["table", "jsonl"],
        Parameter(group=OUTPUT, help="Output format: a table, or a JSON line for each archive."),
    ] = "table",
    local: Local = False,
    storage: Storage = FROM_ENVIRONMENT,
) -> int:
    """List archives with their state, events, size, time span and types.

    Reads only the footer of a sealed archive, and only the batch headers of an open one. No event is read. The time span is that
    of the event times. The types of an open archive are not known before it is sealed. Exit status 1 if an archive is damaged or
    cannot be read.
    """
    from consumer.cli.commands.list_archives import list_archives

    storage.apply(paths)
    return list_archives(paths, format, zone_of(local))


@command(
    "cat", READ,
    "cat DIR",
    "cat DIR --format raw --type 'compute.*'",
    "cat DIR --json-body --since 2h",
)  # fmt: skip
def cat(
    paths: Paths,
    /,
    *,
    filters: Filtered = NO_FILTERS,
    format: Annotated[
        Literal["jsonl", "table", "raw", "kvp"],
        Parameter(group=OUTPUT, help="Output format: JSON lines, a table, the bodies as they are, or KVP records."),
    ] = "jsonl",
    json_body: JsonBody = False,
    columns: Columns = None,
    limit: Limit = None,
    local: Local = False,
    storage: Storage = FROM_ENVIRONMENT,
) -> int:
    """Print events in the order in which they are archived.

    Reads sealed and open archives. An archive that cannot be read is reported on standard error, the others are printed, and
    the exit status is 1.
    """
    from consumer.archive.reading.cat import OutputFormat
    from consumer.cli.commands.cat import print_archives
    from consumer.query.show import OutputOptions

    output = OutputOptions(OutputFormat(format), zone_of(local), json_body, columns)
    storage.apply(paths)
    return print_archives(paths, filters.query(local), output, limit)


@command(
    "search", READ,
    "search DIR --since 2h --type 'compute.*' --type '!*.exists'",
    "search DIR --where 'payload.size>=10' --count",
    "search DIR --format table --columns time,type,payload.size",
)  # fmt: skip
def search(
    paths: Paths,
    /,
    *,
    filters: Filtered = NO_FILTERS,
    order: Annotated[
        Literal["asc", "desc"], Parameter(group=OUTPUT, help="Order by event time: oldest first, or newest first.")
    ] = "asc",
    limit: Limit = None,
    count: Annotated[bool, Parameter(negative=(), group=OUTPUT, help="Print only the number of events.")] = False,
    explain: Annotated[
        bool, Parameter(negative=(), group=OUTPUT, help="Print on standard error how much was read.")
    ] = False,
    format: EventFormat = "jsonl",
    json_body: JsonBody = False,
    columns: Columns = None,
    local: Local = False,
    workers: Workers = None,
    cluster: Cluster = None,
    storage: Storage = FROM_ENVIRONMENT,
) -> int:
    """Find events, in the order of event time across all archives.

    Reads sealed and open archives. An event must pass all filters. If an archive cannot be read, the events of the others are
    found, and the exit status is 1.
    """
    from consumer.archive.reading.cat import OutputFormat
    from consumer.cli.commands.search import SearchRequest, search_archives
    from consumer.query.show import OutputOptions

    output = OutputOptions(OutputFormat(format), zone_of(local), json_body, columns)
    storage.apply(paths)
    return search_archives(
        SearchRequest(paths, filters.query(local), order == "desc", limit, count, explain, workers, cluster, output)
    )


@command(
    "get", READ,
    "get 38c0c8fd-8712-48bc-876f-3787b9d179e0 DIR",
    "get a1-00000007:41 DIR --format raw",
)  # fmt: skip
def get(
    name: EventName,
    paths: Paths,
    /,
    *,
    format: EventFormat = "jsonl",
    json_body: JsonBody = False,
    columns: Columns = None,
    duplicates: DuplicatesOption = "hide",
    storage: Storage = FROM_ENVIRONMENT,
) -> int:
    """Print the events with an id, or the event at a position.

    An event that is named by its position is printed even if it is marked as a duplicate. Exit status 3 if there is no such event.
    """
    from consumer.archive.reading.cat import OutputFormat
    from consumer.archive.reading.duplicates import DuplicateMode
    from consumer.cli.commands.named_events import get_events
    from consumer.query.show import OutputOptions

    output = OutputOptions(OutputFormat(format), json_body=json_body, columns=columns)
    storage.apply(paths)
    return get_events(paths, name, output, DuplicateMode(duplicates))


@command("tail", READ, "tail DIR -n 100", "tail -f DIR --type 'compute.*'", "tail -f DIR --checkpoint billing")
def tail(
    paths: Paths,
    /,
    *,
    newest: Annotated[
        int | None,
        Parameter(
            name=["--newest", "-n"],
            help="Maximum number of events at the start: those that arrived last. [default: 10]",
        ),
    ] = None,
    follow: Annotated[
        bool, Parameter(name=["--follow", "-f"], negative=(), help="Continue with each event when it is archived.")
    ] = False,
    checkpoint: Annotated[
        str | None,
        Parameter(
            help="Name under which the directory stores the position of the last printed event. The next run continues there. [default: none]"
        ),
    ] = None,
    filters: Filtered = NO_FILTERS,
    format: EventFormat = "jsonl",
    json_body: JsonBody = False,
    columns: Columns = None,
    local: Local = False,
    storage: Storage = FROM_ENVIRONMENT,
) -> int:
    """Print the events that arrived last, in the order of arrival.

    Of archives in object storage, it prints the newest events; it cannot follow them. With -f, it follows all instances of a directory, also when archives are sealed or the service restarts. An event is printed only
    after its sync has returned. For the newest events by event time, use `deedbox search DIR --order desc --limit 10`.

    With --checkpoint, the first run begins with the oldest event, and each later run continues after the last batch that was
    printed. No event is skipped. After a kill, at most the last 1,000 events and one
    archived batch are printed again.
    """
    from consumer.archive.reading.cat import OutputFormat
    from consumer.cli.commands.tail import TailOptions, print_tail
    from consumer.query.show import OutputOptions, Printer

    storage.apply(paths)
    query = filters.query(local)
    printer = Printer(sys.stdout.buffer, OutputOptions(OutputFormat(format), zone_of(local), json_body, columns))
    return print_tail(paths, query, TailOptions(newest, follow, checkpoint), printer)
