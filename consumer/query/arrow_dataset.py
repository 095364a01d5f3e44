"""Events as a data set of Arrow, which an engine scans as often as it needs, with its columns and its conditions.

Role: DuckDB calls `scanner` of a data set for each place where a query names it, and passes the columns that the query needs and the
conditions that it gives up checking itself. A reader of record batches would be used up by the first place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumer.query.arrow_columns import schema
from consumer.query.arrow_events import ArrowEvents

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds


@dataclass(frozen=True)
class _Scanner:
    reader: "pa.RecordBatchReader"

    def to_reader(self) -> "pa.RecordBatchReader":
        """The method that an engine calls."""
        return self.reader


def dataset(events: ArrowEvents) -> "ds.Dataset":
    """The events as a data set that has `schema` and `scanner` only. Its class is made here, because its import costs a second."""
    import pyarrow.dataset as ds

    class _Events(ds.Dataset):  # type: ignore[misc]  # pyarrow has no types
        def __init__(self) -> None:
            pass  # that of Dataset refuses to make one

        @property
        def schema(self) -> "pa.Schema":
            return schema()

        def scanner(self, columns: Sequence[str] | None = None, filter: "pc.Expression | None" = None) -> _Scanner:
            return _Scanner(events.reader(columns, filter))

    return _Events()
