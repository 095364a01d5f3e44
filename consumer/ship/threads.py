"""Work in several threads that never delay the end of the process.

The threads of `concurrent.futures` are joined when the interpreter ends. A thread that waits for a storage that does not answer would
then hold the process, so these threads are daemons. Invariant: `each` never has more than `count` items at work.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def start(name: str, work: Callable[..., None], *arguments: object) -> threading.Thread:
    """Run a function in a daemon thread."""
    thread = threading.Thread(target=work, args=arguments, name=name, daemon=True)
    thread.start()
    return thread


def each(
    work: Callable[[Item], Result], items: Iterable[Item], count: int, stopping: Callable[[], bool] = lambda: False
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in the order in which they are ready. While `stopping` is true, no further item is begun.

    An exception of `work` is raised here, and ends the work after the items that have begun. If the iterator is closed early, no
    further item is begun either.
    """
    waiting = iter(items)
    lock, ended = threading.Lock(), threading.Event()
    results: queue.SimpleQueue[tuple[Item, Result] | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            while not (stopping() or ended.is_set()):
                with lock:
                    item = next(waiting)
                results.put((item, work(item)))
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 -- it is raised by `each`
            results.put(error)
        results.put(None)

    running = count
    for number in range(count):
        start(f"ship-{number}", run)
    try:
        while running:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                running -= 1
            else:
                yield result
    finally:
        ended.set()
