"""Read a batch of an archive as a record batch of Arrow. Runs in the process of the scan, or in a worker process.

Invariant: only the columns that are wanted are decoded and sent between processes.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumer.archive.reading.duplicates import Duplicates
from consumer.archive.reading.fault import ReadFault
from consumer.query.arrow_columns import Rows, fields_of, record_batch
from consumer.query.batches import BatchEvents, BatchRequest, MovedBatch, read_batch

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc


@dataclass(frozen=True)
class Selection:
    """The wanted columns, and the condition that rows must fulfil. `read`: the wanted columns and those of the condition."""

    columns: tuple[str, ...]
    condition: "pc.Expression | None" = None
    read: tuple[str, ...] = ()

    def of(self, rows: Rows) -> "pa.RecordBatch":
        """The wanted columns of the rows that fulfil the condition."""
        if self.condition is None:
            return record_batch(rows, self.columns)
        return record_batch(rows, self.read).filter(self.condition).select(list(self.columns))


@dataclass(frozen=True)
class ArrowRequest:
    """A batch to read. `archive`: the name of its archive, for positions."""

    request: BatchRequest
    archive: str
    selection: Selection


@dataclass(frozen=True)
class ArrowBatch:
    """The rows of a batch; None if the batch has moved. `hidden`: how many duplicates were hidden."""

    rows: "pa.RecordBatch | None"
    faults: tuple[ReadFault, ...] = field(default=())
    hidden: int = 0


def read_arrow(request: ArrowRequest) -> ArrowBatch:
    """Read one batch. Damage and errors of reading become faults."""
    selection, query = request.selection, request.request.query
    needed = fields_of(selection.read) | query.fields()
    read = read_batch(request.request, needed)
    return ArrowBatch(None) if isinstance(read, MovedBatch) else to_arrow(read, request)


def to_arrow(read: BatchEvents, request: ArrowRequest) -> ArrowBatch:
    """The events of a batch that was read, as rows."""
    duplicates = Duplicates(request.request.query.duplicates)
    shown = duplicates.shown(read.events)
    rows = Rows([event for _, event in shown], (f"{request.archive}:{number}" for number, _ in shown))
    return ArrowBatch(request.selection.of(rows), read.faults, duplicates.hidden)
