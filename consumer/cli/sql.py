"""The command that queries archives in SQL."""

from typing import Annotated, Literal

from cyclopts import Parameter

from consumer.cli.command import OUTPUT, READ, command
from consumer.cli.filters import NO_FILTERS, Filtered
from consumer.cli.parameters import FROM_ENVIRONMENT, Paths, Storage, Workers


@command(
    "sql", READ,
    'sql "select type, count(*) from events group by 1" DIR --since 1d',
    "sql \"select id, text->>'$.size' as size from events\" DIR --format csv",
    'sql "describe events" DIR',
)  # fmt: skip
def sql(
    query: Annotated[str, Parameter(help="One query in the SQL of DuckDB. The table `events` holds the events.")],
    paths: Paths,
    /,
    *,
    filters: Filtered = NO_FILTERS,
    format: Annotated[
        Literal["table", "jsonl", "csv"] | None,
        Parameter(
            group=OUTPUT,
            help="Output format: a table, JSON lines, or CSV. [default: table on a terminal, otherwise jsonl]",
        ),
    ] = None,
    workers: Workers = None,
    storage: Storage = FROM_ENVIRONMENT,
) -> int:
    """Query archives in SQL.

    Needs the extra `sql` of the package. The query sees the events that pass all filters. Filters on time, type, id and tag use the index of the archives, and conditions
    of the query on `time` and `arrived` do too. It reads nothing but the events, and changes nothing. If an archive cannot be
    read, the answer is that of the others, and the exit status is 1. If no archive can be opened, there is no answer. A wrong query has exit status 2.
    """
    from consumer.cli.commands.sql import SqlRequest, print_sql
    from consumer.query.sql_output import ResultFormat

    storage.apply(paths)
    return print_sql(SqlRequest(query, paths, filters.query(), format and ResultFormat(format), workers))
