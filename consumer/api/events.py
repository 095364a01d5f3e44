"""Events: what a search or a tail returns. It is iterated once, with `for` or with `async for`.

Invariants: with `async for`, archives are read in a thread, one call at a time, and each call ends soon, so that neither the event
loop nor the end of the program has to wait; an iteration that is cancelled and continued loses no event. A part that cannot be
read is never skipped silently: it raises ReadError, or is in `faults`.
"""

from collections import deque
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Protocol, Self

from consumer.api.event import ArchivedEvent
from consumer.archive.reading.fault import ReadFault

if TYPE_CHECKING:
    from asyncio import Task

CHUNK_EVENTS_MAX = 256  # of one call in a thread: a call costs about as much as reading 20 events


class Source(Protocol):
    """What reads the archives."""

    @property
    def faults(self) -> Sequence[ReadFault]:
        """What could not be read until now."""

    @property
    def hidden(self) -> int:
        """How many events were hidden because they are marked as duplicates."""

    def read(self) -> Generator[ArchivedEvent | None, None, None]:
        """The events; None whenever no event is there now but one may come."""

    def stop(self) -> None:
        """End the iteration soon. May be called from another thread."""


class Events:
    """An iterator of events, and an asynchronous one. Iterate it once, in one way.

    It is also a context manager: leaving it closes the files. `close` does the same.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._iterator = source.read()
        self._chunk: deque[ArchivedEvent] = deque()  # read by a thread, and not given to the caller yet
        self._reading: Task[list[ArchivedEvent]] | None = None
        self._end: Exception | None = None  # what follows the chunk: the end, or an error

    @property
    def faults(self) -> list[ReadFault]:
        """What could not be read until now, each with `path`, `offset` (in bytes, or None) and `reason`."""
        return list(self._source.faults)

    @property
    def hidden(self) -> int:
        """How many events were hidden until now because they are marked as duplicates."""
        return self._source.hidden

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ArchivedEvent:
        while (event := next(self._iterator)) is None:
            pass
        return event

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ArchivedEvent:
        while not self._chunk:
            if (end := self._end) is not None:
                self._end = StopIteration()
                raise StopAsyncIteration if isinstance(end, StopIteration) else end
            await self._fetch()
        return self._chunk.popleft()

    async def _fetch(self) -> None:
        """Read in a thread. If the caller is cancelled, the thread goes on, and the next call takes what it has read."""
        import asyncio

        if self._reading is None:
            self._reading = asyncio.create_task(asyncio.to_thread(self._read_chunk))
        self._chunk.extend(await asyncio.shield(self._reading))
        self._reading = None

    def _read_chunk(self) -> list[ArchivedEvent]:
        """The events that are there now. What ends the iteration is raised after them."""
        chunk: list[ArchivedEvent] = []
        try:
            while len(chunk) < CHUNK_EVENTS_MAX and (event := next(self._iterator)) is not None:
                chunk.append(event)
        except Exception as end:  # noqa: BLE001 -- raised by `__anext__`, after the events that were read before it
            self._end = end
        return chunk

    def stop(self) -> None:
        """End the iteration soon. May be called from another thread."""
        self._source.stop()

    def close(self) -> None:
        """End the iteration, and close the files. With `async for`, files are closed when the current call has ended."""
        self.stop()
        if self._reading is None:
            self._iterator.close()
        else:  # a thread may use it
            self._iterator = _nothing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _nothing() -> Generator[ArchivedEvent | None, None, None]:
    yield from ()
