"""Events: the result of a search or a tail. It is iterated once, with `for` or with `async for`.

Invariants: with `async for`, archives are read in a thread, one call at a time, and each call ends soon, so that neither the event
loop nor the end of the program has to wait; an iteration that is cancelled and continued loses no event. A part that cannot be
read is never skipped silently: it raises ReadError, or is in `faults`.
"""

from collections import deque
from collections.abc import Generator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from consumer.api.event import ArchivedEvent
from consumer.archive.reading.fault import ReadFault

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

CHUNK_EVENTS_MAX = 256  # of one call in a thread: a call costs about as much as reading 20 events
_IN_USE = "these events are already iterated by another thread or task; make a search or a tail for each of them"


class Source(Protocol):
    """The reader of the archives."""

    @property
    def faults(self) -> Sequence[ReadFault]:
        """The faults until now: parts that could not be read."""

    @property
    def hidden(self) -> int:
        """How many events were hidden because they are marked as duplicates."""

    def read(self) -> Generator[ArchivedEvent | None, None, None]:
        """The events; None if there is no event now but one may follow."""

    def stop(self) -> None:
        """End the iteration soon. May be called from another thread."""


class Chunk(NamedTuple):
    """The result of one call in a thread."""

    events: list[ArchivedEvent]
    end: BaseException | None  # what follows the events: the end of the iteration, or an error; None if more may come


class Events:
    """An iterator of events, and an asynchronous one. Iterate it once, in one way, and from one thread or task at a time.

    It is also a context manager: leaving it closes the files. `close` does the same. Raises RuntimeError if a thread or a task asks
    for an event while another one waits for one.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._iterator = source.read()
        self._in_use = Lock()  # held while `_iterator` runs
        self._chunk: deque[ArchivedEvent] = deque()  # read by a thread, and not given to the caller yet
        self._end: BaseException | None = None  # what follows the chunk
        self._reading: Future[Chunk] | None = (
            None  # a chunk that a thread reads, or has read; it belongs to no event loop
        )
        self._waiting: asyncio.Future[Chunk] | None = None  # how a task waits for `_reading`

    @property
    def faults(self) -> list[ReadFault]:
        """The faults until now: parts that could not be read, each with `path`, `offset` (in bytes, or None) and `reason`."""
        return list(self._source.faults)

    @property
    def hidden(self) -> int:
        """How many events were hidden until now because they are marked as duplicates."""
        return self._source.hidden

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ArchivedEvent:
        if self._chunk or self._reading is not None:
            raise RuntimeError("these events are iterated with `async for`, and cannot be iterated with `for` too")
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError(_IN_USE)
        try:
            while (event := next(self._iterator)) is None:
                pass
        finally:
            self._in_use.release()
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
        """Wait for a chunk. If the caller is cancelled, the thread continues, and the next call returns the events that it has read."""
        import asyncio

        if self._waiting is not None and not self._waiting.done():  # it is done at once if its task is cancelled
            raise RuntimeError(_IN_USE)
        earlier = self._reading
        reading = self._reading = earlier or self._start_reading()
        if reading is not earlier or not reading.done():  # a wait, however short, may be cancelled each time
            self._waiting = asyncio.wrap_future(reading)
            await self._waiting
        chunk = reading.result()
        if self._reading is reading:  # else another task has taken the chunk
            self._reading = None
            self._chunk.extend(chunk.events)
            self._end = chunk.end

    def _start_reading(self) -> "Future[Chunk]":
        """Begin to read a chunk in a thread. A task for it would be cancelled at the end of `asyncio.run`, and its events would be lost."""
        import asyncio
        from concurrent.futures import Future

        reading: Future[Chunk] = Future()
        reading.set_running_or_notify_cancel()  # from here on, it cannot be cancelled
        asyncio.get_running_loop().run_in_executor(None, lambda: reading.set_result(self._read_chunk()))
        return reading

    def _read_chunk(self) -> Chunk:
        """The events that are available now, and the end or error after them."""
        if not self._in_use.acquire(blocking=False):
            return Chunk([], RuntimeError(_IN_USE))
        events: list[ArchivedEvent] = []
        try:
            while len(events) < CHUNK_EVENTS_MAX and (event := next(self._iterator)) is not None:
                events.append(event)
        except BaseException as end:  # noqa: BLE001 -- raised by `__anext__`, after the events that were read before it
            return Chunk(events, end)
        finally:
            self._in_use.release()
        return Chunk(events, None)

    def stop(self) -> None:
        """End the iteration soon. May be called from another thread."""
        self._source.stop()

    def close(self) -> None:
        """End the iteration, and close the files. May be called from another thread.

        If a thread is reading, the files are closed when its current call has ended.
        """
        self.stop()
        iterator, self._iterator = (
            self._iterator,
            _nothing(),
        )  # a call that uses the old one has the last reference to it
        if self._in_use.acquire(blocking=False):
            try:
                iterator.close()
            finally:
                self._in_use.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _nothing() -> Generator[ArchivedEvent | None, None, None]:
    yield from ()
