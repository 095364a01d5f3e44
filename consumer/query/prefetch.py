"""Work over many items, done ahead of its reader in threads, processes or machines: whatever is a `concurrent.futures.Executor`.

Invariants: every item is worked on exactly once a pass, and results come in the order of the items; at most `ahead` results
wait, so memory is bounded; an error of a worker is raised where the reader stands; a reader that stops early leaves
nothing running that had not begun.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Generic, TypeVar

from consumer.errors import Exit, Fatal

PAYS_BYTES = 32 << 20  # compressed; below, to start processes costs more than they save
WORKERS_MAX = 8
T = TypeVar("T")
R = TypeVar("R")


def scan(
    executor: Executor | None, work: Callable[[T], R], items: Iterable[T], ahead: int = 8
) -> Generator[R, None, None]:
    """`work` of each item, in order. Without an executor it is done when the reader asks for it."""
    assert ahead > 0, "nothing would be done"
    if executor is None:
        yield from map(work, items)
        return
    waiting: deque[Future[R]] = deque()
    source = iter(items)
    try:
        waiting.extend(executor.submit(work, item) for item in islice(source, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(executor.submit(work, item) for item in islice(source, 1))
            yield result
    finally:
        _end(waiting)


def epochs(
    executor: Executor | None, work: Callable[[T], R], items: Callable[[], Iterable[T]], passes: int, ahead: int = 8
) -> Iterator[tuple[int, R]]:
    """Several passes over the items, each with its number from 0 on; the next pass begins while this one is read."""
    every = ((epoch, item) for epoch in range(passes) for item in items())
    yield from scan(executor, _Numbered(work), every, ahead)


class _Numbered(Generic[T, R]):
    """Work on the item of a pair; a class, because processes cannot be handed a closure."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self._work = work

    def __call__(self, pair: tuple[int, T]) -> tuple[int, R]:
        return pair[0], self._work(pair[1])


@contextmanager
def workers(amount_bytes: int, wanted: int | None = None) -> Iterator[Executor | None]:
    """As many processes as were `wanted`, or as pay for so much to read: none, or one a core."""
    if wanted is not None and wanted < 0:
        raise Fatal(Exit.SETTINGS, f"--workers {wanted}", "name a number from 0 on; 0 reads in this process alone")
    cores = len(os.sched_getaffinity(0))
    pays = min(cores, WORKERS_MAX) if cores > 1 and amount_bytes >= PAYS_BYTES else 0
    count = pays if wanted is None else min(wanted, 8 * cores)
    if count <= 0:
        yield None
        return
    with ProcessPoolExecutor(count, initializer=_die_quietly) as executor:
        yield executor


def _die_quietly() -> None:
    """Ctrl-C reaches all processes of a terminal: the reader says what there is to say."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 -- for the life of the process


def _end(waiting: "deque[Future[R]]") -> None:
    """Cancel what has not begun, and wait for what has: nothing goes on behind the reader's back."""
    for future in waiting:
        future.cancel()
    for future in waiting:
        if not future.cancelled():
            future.exception()
