"""Events as an iterator and as an asynchronous iterator."""

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future

import pytest

from consumer.api.event import ArchivedEvent
from consumer.api.events import CHUNK_EVENTS_MAX, Events
from consumer.archive.position import Position
from consumer.archive.reading.fault import ReadFault
from tests.support.archive_logs import event

Item = ArchivedEvent | None | Exception | Callable[[], object]


def archived(serial: int) -> ArchivedEvent:
    return ArchivedEvent(event(serial), Position("one", 1, serial))


class FakeSource:
    """Gives items; raises those that are errors, and calls those that are functions."""

    def __init__(self, *items: Item) -> None:
        self.items = items
        self.faults: list[ReadFault] = []
        self.hidden = 2
        self.stopped = self.closed = False

    def read(self) -> Generator[ArchivedEvent | None, None, None]:
        try:
            for item in self.items:
                if isinstance(item, Exception):
                    raise item
                if callable(item):
                    item()
                else:
                    yield item
        finally:
            self.closed = True

    def stop(self) -> None:
        self.stopped = True


def numbers(found: list[ArchivedEvent]) -> list[int]:
    return [one.position.event for one in found]


def test_it_is_an_iterator_that_passes_over_pauses() -> None:
    events = Events(FakeSource(None, archived(1), None, None, archived(2)))
    assert next(events).position.event == 1
    assert numbers(list(events)) == [2]
    assert list(events) == []
    assert events.hidden == 2


async def test_it_is_an_asynchronous_iterator() -> None:
    many = [archived(serial) for serial in range(2 * CHUNK_EVENTS_MAX + 1)]
    events = Events(FakeSource(None, *many, None))
    assert [one async for one in events] == many
    assert [one async for one in events] == []


async def test_an_error_comes_after_the_events_that_were_read_before_it() -> None:
    events = Events(FakeSource(archived(1), archived(2), ValueError("damaged")))
    assert numbers([await anext(events), await anext(events)]) == [1, 2]
    with pytest.raises(ValueError, match="damaged"):
        await anext(events)
    assert [one async for one in events] == []


async def test_the_loop_is_not_blocked_while_a_thread_reads() -> None:
    gate = threading.Event()
    events = Events(FakeSource(lambda: gate.wait(30), archived(1)))
    asyncio.get_running_loop().call_soon(gate.set)
    assert (await anext(events)).position.event == 1


async def test_an_iteration_that_is_cancelled_and_continued_loses_no_event() -> None:
    """Cancellation is how a timeout ends a wait: `asyncio.timeout` around `anext`."""
    gate = threading.Event()
    events = Events(FakeSource(archived(1), lambda: gate.wait(30), archived(2), None, archived(3)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(events)
    gate.set()
    assert numbers([one async for one in events]) == [1, 2, 3]


@pytest.mark.parametrize("error", [None, ValueError("damaged")])
async def test_events_that_were_read_after_a_cancellation_come_before_the_end(error: Exception | None) -> None:
    """The end of the thread's chunk was taken before its events, and they were lost."""
    events = Events(FakeSource(archived(1), archived(2), *([error] if error else [])))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(events)
    await asyncio.get_running_loop().shutdown_default_executor()  # the thread has ended
    assert numbers([await anext(events), await anext(events)]) == [1, 2]
    with pytest.raises(ValueError if error else StopAsyncIteration):
        await anext(events)
    assert [one async for one in events] == []


async def test_events_that_a_thread_has_read_need_no_wait() -> None:
    """An iteration with a very short timeout never got them."""
    events = Events(FakeSource(archived(1)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(events)
    await asyncio.get_running_loop().shutdown_default_executor()  # the thread has ended
    async with asyncio.timeout(0):
        assert (await anext(events)).position.event == 1


async def test_another_task_may_continue_as_soon_as_the_first_one_is_cancelled() -> None:
    events = Events(FakeSource(archived(1), archived(2)))
    first = asyncio.create_task(anext(events))  # type: ignore[arg-type]  # a coroutine
    await asyncio.sleep(0)
    first.cancel()
    assert numbers([one async for one in events]) == [1, 2]
    await asyncio.wait([first])
    assert first.cancelled()


def test_an_iteration_may_be_continued_in_another_event_loop() -> None:
    """The end of the first loop cancelled the read itself, and each later call raised CancelledError."""
    gate = threading.Event()
    events = Events(FakeSource(lambda: gate.wait(30), archived(1), archived(2)))

    async def begin() -> None:
        asyncio.get_running_loop().call_later(0.05, gate.set)  # the end of the loop waits for the thread
        waiting = asyncio.create_task(anext(events))  # type: ignore[arg-type]  # a coroutine
        await asyncio.wait([waiting], timeout=0.01)

    async def rest() -> list[ArchivedEvent]:
        return [one async for one in events]

    asyncio.run(begin())
    assert numbers(asyncio.run(rest())) == [1, 2]


async def test_two_tasks_cannot_wait_at_the_same_time() -> None:
    gate = threading.Event()
    events = Events(FakeSource(lambda: gate.wait(30), archived(1), archived(2)))
    first = asyncio.create_task(anext(events))  # type: ignore[arg-type]  # a coroutine
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already iterated by another thread or task"):
        await anext(events)
    gate.set()
    assert numbers([await first, await anext(events)]) == [1, 2]


def begin_in_a_thread(events: Events, begun: threading.Event) -> Future[list[ArchivedEvent]]:
    """Iterate in a thread; it has begun to read when this returns."""
    found: Future[list[ArchivedEvent]] = Future()
    threading.Thread(target=lambda: found.set_result(list(events))).start()
    assert begun.wait(30)
    return found


def test_two_threads_cannot_wait_at_the_same_time() -> None:
    begun, gate = threading.Event(), threading.Event()
    events = Events(FakeSource(begun.set, lambda: gate.wait(30), archived(1)))
    found = begin_in_a_thread(events, begun)
    with pytest.raises(RuntimeError, match="already iterated by another thread or task"):
        next(events)
    with pytest.raises(RuntimeError, match="already iterated by another thread or task"):
        asyncio.run(anext(events))  # type: ignore[arg-type]  # a coroutine
    gate.set()
    assert numbers(found.result(30)) == [1]


async def test_events_of_an_asynchronous_iteration_cannot_be_taken_with_for() -> None:
    """The events that a thread had read already were lost."""
    events = Events(FakeSource(archived(1), archived(2), archived(3)))
    await anext(events)
    with pytest.raises(RuntimeError, match="cannot be iterated with `for` too"):
        next(events)
    assert numbers([one async for one in events]) == [2, 3]


def test_another_thread_may_close_while_one_iterates() -> None:
    begun, gate = threading.Event(), threading.Event()
    source = FakeSource(begun.set, lambda: gate.wait(30), archived(1), archived(2))
    events = Events(source)
    found = begin_in_a_thread(events, begun)
    events.close()
    assert (source.stopped, source.closed) == (True, False)
    gate.set()
    assert numbers(found.result(30)) == [1]
    assert source.closed


def test_leaving_the_context_stops_the_source_and_closes_its_files() -> None:
    source = FakeSource(archived(1), archived(2))
    with Events(source) as events:
        next(events)
    assert (source.stopped, source.closed) == (True, True)
    assert list(events) == []


async def test_closing_while_a_thread_reads_closes_the_files_when_it_has_ended() -> None:
    gate = threading.Event()
    source = FakeSource(lambda: gate.wait(30), archived(1))
    events = Events(source)
    reading = asyncio.create_task(anext(events))  # type: ignore[arg-type]  # a coroutine
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    events.close()
    assert source.stopped
    gate.set()
    await reading
    assert [one async for one in events] == []
    assert source.closed
