"""Run one SQL query on events, by DuckDB. The only module that imports it; the extra `sql` of the package installs it.

Invariants: SQL reads the events and nothing else: it opens no file, no connection and no extension, and cannot change a setting.
Memory of DuckDB is at most MEMORY_BYTES_MAX; what does not fit is in files of a directory for temporary files, at most
SPILL_BYTES_MAX, which are removed at the end. The result is read as it comes. Ctrl-C ends a query at once: DuckDB runs in a thread of
its own, because it does not look for signals.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from consumer.errors import DeedboxError, Exit, Fatal
from consumer.query import arrow_columns
from consumer.query.arrow_dataset import dataset
from consumer.query.arrow_events import ArrowEvents

if TYPE_CHECKING:
    import duckdb

MEMORY_BYTES_MAX = 1 << 30
SPILL_BYTES_MAX = 16 << 30
THREADS_MAX = 4
ROWS = 1000  # of a result that are fetched at a time
Row = tuple[Any, ...]
P = ParamSpec("P")
R = TypeVar("R")


class ResultColumn(NamedTuple):
    """A column of a result. `type`: as DuckDB writes it."""

    name: str
    type: str


@dataclass(frozen=True)
class Answer:
    """The result of a query. `rows`: lists of rows, which are read from DuckDB as they are taken."""

    columns: list[ResultColumn]
    rows: Iterator[list[Row]]


def require() -> None:
    """Raise Fatal if a package of the extra is missing."""
    arrow_columns.require()
    try:
        import duckdb  # noqa: F401 -- only to see whether it is installed
    except ImportError as error:
        what = "SQL needs the package duckdb, which is not installed"
        raise Fatal(Exit.SETTINGS, what, "pip install 'deedbox[sql]'") from error


@contextmanager
def answered(query: str, events: ArrowEvents) -> Iterator[Answer]:
    """Run a query, in which `events` is the table of the events. The answer is valid within the block.

    Raises Fatal for SQL that is wrong, DeedboxError if memory or the disk do not suffice, and the error of `events` if reading failed.
    """
    require()
    with (
        TemporaryDirectory(prefix="deedbox-sql-") as spill,
        ThreadPoolExecutor(1, "sql") as thread,
        closing(_connection(spill)) as connection,
    ):
        calls = _Calls(connection, events, thread)
        connection.register("events", dataset(events))
        connection.execute("SET lock_configuration = true")
        calls.run(connection.execute, calls.run(_only_query, connection, query))
        names = [ResultColumn(str(name), str(kind)) for name, kind, *_ in connection.description or ()]
        yield Answer(names, iter(lambda: calls.run(connection.fetchmany, ROWS), []))


def _connection(spill: str) -> "duckdb.DuckDBPyConnection":
    """A database in memory without access to anything else. A setting is `true` or `false` as a text."""
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "enable_external_access": "false",
            "allow_community_extensions": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",  # otherwise SQL sees variables of this program
            "preserve_insertion_order": "false",
            "threads": str(min(len(os.sched_getaffinity(0)), THREADS_MAX)),
            "memory_limit": f"{MEMORY_BYTES_MAX}B",
            "temp_directory": spill,
            "max_temp_directory_size": f"{SPILL_BYTES_MAX}B",
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _only_query(connection: "duckdb.DuckDBPyConnection", query: str) -> "duckdb.Statement":
    """The only statement of a text. Raises Fatal if there are others, or if it is no query."""
    import duckdb

    if any("\ud800" <= character <= "\udfff" for character in query):
        raise Fatal(Exit.SETTINGS, "SQL: the query is not UTF-8", "check the encoding of the terminal or of the script")
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        what = f"{len(statements)} statements of SQL found, one expected"
        raise Fatal(Exit.SETTINGS, what, 'give one query, such as "select count(*) from events"')
    kinds = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI)  # MULTI: PIVOT
    if statements[0].type not in kinds:
        what = f"a statement of the kind {statements[0].type.name} found, a query expected"
        raise Fatal(
            Exit.SETTINGS, what, "begin with SELECT, FROM, WITH, PIVOT, DESCRIBE or SUMMARIZE: archives are only read"
        )
    return statements[0]


class _Calls:
    """Calls DuckDB in its thread. If this thread is interrupted meanwhile, the call is interrupted too."""

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", events: ArrowEvents, thread: ThreadPoolExecutor
    ) -> None:
        self._connection, self._events, self._thread = connection, events, thread

    def run(self, function: Callable[P, R], *arguments: P.args, **others: P.kwargs) -> R:
        """The result of a function. Raises what `answered` raises."""
        import duckdb

        call = self._thread.submit(function, *arguments, **others)
        try:
            return call.result()
        except duckdb.Error as error:
            raise self._events.error or _translated(error) from error
        except BaseException:
            self._interrupt(call)
            raise

    def _interrupt(self, call: "Future[R]") -> None:
        self._events.stop()
        while wait([call], timeout=0.1).not_done:
            self._connection.interrupt()  # has no effect before the query begins, so it is repeated


def _translated(error: "duckdb.Error") -> DeedboxError:
    """The message of DuckDB in one line, without the position in the query, which it shows on lines of its own."""
    import duckdb

    text = " ".join(str(error).partition("\n\nLINE ")[0].split())
    if isinstance(error, duckdb.OutOfMemoryException):
        what = f"the query needs more than {MEMORY_BYTES_MAX >> 30} GiB of memory and {SPILL_BYTES_MAX >> 30} GiB of temporary files"
        return DeedboxError(what, "narrow it down, for example by --since, or select fewer columns")
    wrong = not isinstance(error, duckdb.OperationalError | duckdb.InternalError)
    if wrong or isinstance(error, duckdb.PermissionException):
        return Fatal(Exit.SETTINGS, f"SQL: {text}", "correct the query; `describe events` shows the columns")
    return DeedboxError(f"SQL: {text}")
