"""Which columns and which batches a condition of Arrow needs. No event is read.

Role: an engine such as DuckDB passes the conditions of its query as an expression of Arrow, which is opaque. Arrow itself decides
whether a batch may hold a row that fulfils it: by the range of event times and of arrivals in the header of the batch. Invariant: a
batch that may hold such a row is never left out.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from codec.archive import BatchHeader
from consumer.query.arrow_columns import schema

if TYPE_CHECKING:
    import pyarrow.compute as pc


def columns_of(condition: "pc.Expression") -> tuple[str, ...]:
    """The columns that the condition reads: without such a column, Arrow refuses it."""
    import pyarrow as pa

    empty = schema().empty_table()

    def refused(name: str) -> bool:
        try:
            empty.drop_columns([name]).filter(condition)
        except pa.ArrowInvalid:  # the condition names a column that is not there
            return True
        return False

    return tuple(name for name in empty.column_names if refused(name))


def possible(headers: Sequence[BatchHeader], condition: "pc.Expression") -> list[int]:
    """The indexes of the headers whose batches may hold rows that fulfil the condition.

    Arrow selects the files of a data set by what is known about each file. Here each file is a batch, and none is opened.
    """
    import pyarrow.dataset as ds
    import pyarrow.fs

    format, files = ds.IpcFileFormat(), pyarrow.fs.LocalFileSystem()
    batches = [
        format.make_fragment(str(index), files, partition_expression=_known(header))
        for index, header in enumerate(headers)
    ]
    found = ds.FileSystemDataset(batches, schema(), format, files).get_fragments(condition)
    return sorted(int(batch.path) for batch in found)


def _known(header: BatchHeader) -> "pc.Expression":
    """What the header tells about each row of the batch."""
    return _within("time", header.first_us, header.last_us) & _within(
        "arrived", header.first_arrived_us, header.last_arrived_us
    )


def _within(name: str, first_us: int, last_us: int) -> "pc.Expression":
    import pyarrow as pa
    import pyarrow.compute as pc

    first, last = (pa.scalar(time_us, pa.timestamp("us", tz="UTC")) for time_us in (first_us, last_us))
    return (pc.field(name) >= first) & (pc.field(name) <= last)
