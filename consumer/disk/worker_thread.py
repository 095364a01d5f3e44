"""One thread that runs steps in order, for an event loop that must not wait for a disk.

Invariants: a step that has begun runs to its end, whether or not the caller still waits; a step whose caller was
cancelled before it began is left out. A step passes through a queue and comes back through the loop, because the futures of a
thread pool cost as much as encoding a small batch.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_Step = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class StepThread:
    """A thread with the given name. It does not keep the process running."""

    def __init__(self, name: str) -> None:
        self._steps: SimpleQueue[_Step | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, step: Callable[[], T]) -> T:
        """The result of the step. Raises the exception of the step."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._steps.put((step, loop, done))
        return await done

    def end(self) -> None:
        """Wait for the steps in the queue, and end the thread."""
        self._steps.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (found := self._steps.get()) is not None:
            step, loop, done = found
            if done.cancelled():
                continue
            result, error = None, None
            try:
                result = step()
            except BaseException as raised:  # noqa: BLE001 -- the caller gets every error
                error = raised
            with suppress(RuntimeError):  # the loop is closed: nothing waits for the result
                loop.call_soon_threadsafe(_settle, done, result, error)
            del found, step, done, result, error


def _settle(done: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)
