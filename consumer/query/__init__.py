"""Finding events in archives, sealed and open. Nothing here writes to an archive. Programs use it as `deedbox` (see `consumer.api`)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from consumer.archive.location import Location

if TYPE_CHECKING:
    import pyarrow as pa

    from consumer.query.query import Query


def arrow(
    paths: Sequence[Location], query: "Query | None" = None, columns: Sequence[str] | None = None
) -> "pa.RecordBatchReader":
    """The events that pass a query, in the order of the archives, as record batches of Arrow. `columns`: their names; None: all.

    After the last batch, the reader raises DeedboxError if a part could not be read. Raises Fatal if pyarrow is not installed.
    """
    from consumer.query.arrow_events import ArrowEvents

    events = ArrowEvents(paths, query)
    return events.reader(columns, at_end=events.raise_faults)
