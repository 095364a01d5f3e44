"""Call a function for many items, ahead of the reader of the results, in any `concurrent.futures.Executor`.

Invariants: the function is called exactly once per item and pass, and once more if its worker was lost (see `executors`). Results come in
the order of the items. At most `ahead` results wait, so memory is bounded. An error of the function is raised at the reader when its
result is next. If the reader stops early, calls that have not begun are cancelled.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import closing
from itertools import islice
from typing import Generic, TypeVar

from consumer.query.executors import ahead_of

GROUP_BYTES = 4 << 20  # of archives that are read in one call
GROUP_MAX = 16
T = TypeVar("T")
R = TypeVar("R")


def scan(
    executor: Executor | None, work: Callable[[T], R], items: Iterable[T], ahead: int | None = None
) -> Generator[R, None, None]:
    """The result of `work` for each item, in order. Without an executor, `work` runs when the reader asks for the result.

    `ahead`: how many results may wait; None: as many as keep all workers busy. Raises ValueError, at once, if it is less than 1.
    """
    ahead = ahead_of(executor) if ahead is None else ahead
    if ahead < 1:
        raise ValueError(f"ahead={ahead}; expected 1 or more")
    return _results(executor, work, items, ahead)


def scan_groups(
    executor: Executor | None, work: Callable[[T], R], items: Iterable[T], size: Callable[[T], int]
) -> Generator[R, None, None]:
    """As `scan`, with one call for several small items, because a call of an executor costs as much as reading a small archive.

    `size`: the bytes of an item; 0 if they are not known, so that it gets a call of its own.
    """
    if executor is None:
        yield from map(work, items)
        return
    with closing(scan(executor, _Each(work), _grouped(items, size))) as groups:
        for results in groups:
            yield from results


def _grouped(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """The items in groups of at most GROUP_BYTES and GROUP_MAX, in order."""
    group: list[T] = []
    total = 0
    for item in items:
        bytes = size(item) or GROUP_BYTES
        if group and (total + bytes > GROUP_BYTES or len(group) == GROUP_MAX):
            yield group
            group, total = [], 0
        group.append(item)
        total += bytes
    if group:
        yield group


class _Each(Generic[T, R]):
    """Calls a function for each item of a group. It is a class, because a closure cannot be sent to another process."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self._work = work

    def __call__(self, items: list[T]) -> list[R]:
        return [self._work(item) for item in items]


def _results(
    executor: Executor | None, work: Callable[[T], R], items: Iterable[T], ahead: int
) -> Generator[R, None, None]:
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
    executor: Executor | None,
    work: Callable[[T], R],
    items: Callable[[], Iterable[T]],
    passes: int,
    ahead: int | None = None,
) -> Generator[tuple[int, R], None, None]:
    """The results of several passes over the items, each with the number of its pass, from 0.

    `items`: returns the items of a pass. The next pass begins while the results of the previous one are read. Raises ValueError, at
    once, if `passes` is less than 0 or `ahead` is less than 1.
    """
    if passes < 0:
        raise ValueError(f"passes={passes}; expected 0 or more")
    every = ((epoch, item) for epoch in range(passes) for item in items())
    return scan(executor, _Numbered(work), every, ahead)


class _Numbered(Generic[T, R]):
    """Calls a function for the item of a pair. It is a class, because a closure cannot be sent to another process."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self._work = work

    def __call__(self, pair: tuple[int, T]) -> tuple[int, R]:
        return pair[0], self._work(pair[1])


def _end(waiting: "deque[Future[R]]") -> None:
    """Cancel the calls that have not begun, and wait for the others."""
    for future in waiting:
        future.cancel()
    for future in waiting:
        if not future.cancelled():
            future.exception()
