"""The events of archives as record batches of Arrow. They can be scanned several times, also at the same time.

Role: SQL and the Python API read events through this. The order is that of the archives: by instance, then as archived, and not by
event time as in a search. Invariants: memory holds as many batches per scan as keep the workers busy. All scans read the events that were there when the
first one began. Damage makes only the events of its batch unreadable; it is in `faults`, and the scan continues. An archive that is
moved or rewritten meanwhile is found again.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from functools import cached_property
from typing import TYPE_CHECKING

from consumer.archive.location import Location
from consumer.archive.reading.catalog import ArchiveMatch, entries
from consumer.archive.reading.fault import ReadFault
from consumer.archive.reading.in_threads import in_threads
from consumer.errors import DeedboxError
from consumer.objects.url import ObjectUrl
from consumer.query.arrow_batches import ArrowBatch, ArrowRequest, Selection, read_arrow, to_arrow
from consumer.query.arrow_columns import COLUMNS, require, schema
from consumer.query.arrow_pruning import columns_of, possible
from consumer.query.batches import FETCHED_FIRST, BatchRequest, with_fetched_frame
from consumer.query.executors import is_remote
from consumer.query.plan import ArchiveLocations, PlannedArchive
from consumer.query.prefetch import scan
from consumer.query.query import Query

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc


class ArrowEvents:
    """The events that pass a query. `executor`: reads batches ahead in its workers.

    `error`: the error that ended a scan, because an engine that pulls batches reports an error as text only.
    """

    def __init__(self, paths: Sequence[Location], query: Query | None = None, executor: Executor | None = None) -> None:
        self.executor = executor
        self.error: Exception | None = None
        self.batches_read = 0
        self._paths, self._query = paths, query or Query()
        self._faults: dict[ReadFault, None] = {}  # in the order in which they were found, each once
        self._hidden: dict[tuple[int, int], int] = {}
        self._stopped = False

    @property
    def faults(self) -> list[ReadFault]:
        """The parts that could not be read until now."""
        return list(self._faults)

    @property
    def hidden(self) -> int:
        """How many events of the batches that were read are hidden, because they are marked as duplicates."""
        return sum(self._hidden.values())

    @cached_property
    def archives(self) -> list[ArchiveMatch]:
        """The archives, with the batches that may hold a wanted event. Their indexes are read when this is used first."""
        found = list(entries(self._paths, self._query.wanted))
        self._faults.update((fault, None) for entry in found for fault in entry.faults)
        return found

    @property
    def is_unread(self) -> bool:
        """Whether there are archives, and none of them could be opened."""
        return bool(self.archives) and all(entry.identity is None for entry in self.archives)

    def plan(self) -> int:
        """Read the indexes of the archives. Returns the bytes of the batches that a scan without a condition reads."""
        return sum(batch.size for entry in self.archives for batch in entry.batches)

    def stop(self) -> None:
        """End all scans before the next batch. May be called from another thread."""
        self._stopped = True

    def reader(
        self,
        columns: Sequence[str] | None = None,
        condition: "pc.Expression | None" = None,
        at_end: Callable[[], None] = lambda: None,
    ) -> "pa.RecordBatchReader":
        """A scan as a reader, which can be read once. `columns`: their names; None: all. `condition`: rows must fulfil it.

        `at_end` is called after the last batch. Raises Fatal if pyarrow is not installed.
        """
        require()
        import pyarrow as pa

        names = tuple(COLUMNS if columns is None else columns)
        return pa.RecordBatchReader.from_batches(schema(names), self._batches(names, condition, at_end))

    def _batches(
        self, names: tuple[str, ...], condition: "pc.Expression | None", at_end: Callable[[], None]
    ) -> Generator["pa.RecordBatch", None, None]:
        also = () if condition is None else columns_of(condition)
        selection = Selection(names, condition, tuple(dict.fromkeys((*names, *also))))
        try:
            with closing(_Scan(self.archives, self._paths, self._query, selection).read(self.executor)) as reads:
                for request, read in reads:
                    if self._stopped:
                        return
                    yield self._taken(request, read)
            at_end()
        except Exception as error:
            self.error = error
            raise

    def _taken(self, request: BatchRequest, read: ArrowBatch) -> "pa.RecordBatch":
        self.batches_read += 1
        self._faults.update((fault, None) for fault in read.faults)
        if read.hidden:
            self._hidden[request.archive_index, request.batch.header.first_event] = read.hidden
        return read.rows

    def raise_faults(self) -> None:
        """Raise DeedboxError if a part could not be read."""
        if self._faults:
            what = f"not everything could be read: {self.faults[0]}"
            raise DeedboxError(what, "check the archives with `deedbox verify`")


class _Scan:
    """One pass over the batches of archives."""

    def __init__(
        self, archives: Sequence[ArchiveMatch], paths: Sequence[Location], query: Query, selection: Selection
    ) -> None:
        places = ArchiveLocations(paths)
        self._names = [entry.id for entry in archives]
        self._planned = [
            PlannedArchive(entry.path, index, entry.identity, places) for index, entry in enumerate(archives)
        ]
        self._requests = [
            BatchRequest(entry.path, index, batch, entry.tombstones, query)
            for index, entry in enumerate(archives)
            for batch in entry.batches
        ]
        self._selection = selection
        if selection.condition is not None:
            headers = [request.batch.header for request in self._requests]
            self._requests = [self._requests[index] for index in possible(headers, selection.condition)]
        for request in self._requests:
            self._planned[request.archive_index].requests[request.batch.header.first_event] = request

    def read(self, executor: Executor | None) -> Generator[tuple[BatchRequest, ArrowBatch], None, None]:
        """Each request and its rows, in the order of the archives."""
        current: Generator[BatchRequest, None, None] = (
            request._replace(path=self._planned[request.archive_index].path) for request in self._requests
        )
        with ExitStack() as stack:
            if any(isinstance(one.path, ObjectUrl) for one in self._requests) and not is_remote(executor):
                current = in_threads(with_fetched_frame, current, begin=FETCHED_FIRST)
                stack.callback(current.close)
            reads = stack.enter_context(closing(scan(executor, read_arrow, map(self._arrow, current))))
            for request, read in zip(self._requests, reads, strict=True):
                yield from self._whole(request, read)

    def _arrow(self, request: BatchRequest) -> ArrowRequest:
        return ArrowRequest(request, self._names[request.archive_index], self._selection)

    def _whole(self, request: BatchRequest, read: ArrowBatch) -> Iterator[tuple[BatchRequest, ArrowBatch]]:
        """The request and its rows. After a rewrite, one batch may hold the events of several requests: then all of them."""
        planned = self._planned[request.archive_index]
        if planned.requests.get(request.batch.header.first_event) is not request:
            return  # its events were returned with another request
        if read.rows is not None:
            del planned.requests[request.batch.header.first_event]
            yield request, read
            return
        for same, events in planned.read_again(request):
            del planned.requests[same.batch.header.first_event]
            yield same, to_arrow(events, self._arrow(same))
