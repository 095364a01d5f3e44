"""Tests named after the defects of the prefetching reader that this replaces."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.query.prefetch import GROUP_BYTES, GROUP_MAX, epochs, scan, scan_groups
from tests.support.processes import processes


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def square(number: int) -> int:
    return number * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise TypeError("of the work itself")
    return number


@given(st.lists(st.integers()), st.integers(1, 20))
def test_every_item_once_and_in_order(items: list[int], ahead: int) -> None:
    """Each of its workers iterated over all items: N workers returned each item N times."""
    with ThreadPoolExecutor(3) as executor:
        assert list(scan(executor, square, items, ahead)) == [square(item) for item in items]


def test_processes_threads_and_no_executor_give_the_same_results(threads: Executor) -> None:
    with processes(2) as others:
        answers = [list(scan(executor, square, range(50))) for executor in (None, threads, others)]
    assert answers == [[square(number) for number in range(50)]] * 3


def test_the_passes_are_numbered(threads: Executor) -> None:
    """With a callback of one argument, its epoch stayed at 0."""
    found = list(epochs(threads, square, lambda: range(3), passes=2))
    assert found == [(0, 0), (0, 1), (0, 4), (1, 0), (1, 1), (1, 4)]
    assert list(epochs(None, square, list, passes=3)) == []


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, processes])
def test_a_type_error_of_the_work_is_no_end_of_an_epoch(kind: Callable[[int], Executor]) -> None:
    """It treated any TypeError as the end, and returned empty epochs in a busy loop."""
    with kind(2) as executor:
        found = scan(executor, fail_at_three, range(9), ahead=2)
        assert [next(found) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(TypeError, match="of the work itself"):
            next(found)


def test_a_worker_that_fails_does_not_block_the_reader(threads: Executor) -> None:
    """Any other exception ended its worker, and the reader never returned."""
    with pytest.raises(ZeroDivisionError):
        list(scan(threads, lambda number: 1 // number, [1, 0, 1]))


def test_no_more_items_than_allowed_are_read_ahead(threads: Executor) -> None:
    begun: list[int] = []
    found = scan(threads, begun.append, range(100), ahead=3)
    next(found)
    found.close()
    assert len(begun) <= 4


def test_a_reader_that_stops_leaves_no_running_call() -> None:
    """Its end left workers blocked in put, alive and never joined."""
    gate, running, done = threading.Event(), threading.Event(), []

    def work(number: int) -> int:
        if number:
            running.set()
            gate.wait()
        done.append(number)
        return number

    with ThreadPoolExecutor(2) as executor:
        found = scan(executor, work, range(50), ahead=10)
        next(found)
        running.wait()
        gate.set()
        found.close()
        finished = len(done)
        executor.submit(lambda: None).result()
        assert len(done) == finished <= 12


def test_two_scans_are_independent(threads: Executor) -> None:
    """The second call of the same reader raised TypeError."""
    work = (square, range(5))
    assert list(scan(threads, *work)) == list(scan(threads, *work))


def test_items_are_taken_only_when_they_are_needed(threads: Executor) -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    found = scan(threads, square, items(), ahead=5)
    next(found)
    assert len(asked) == 6
    found.close()


@pytest.mark.parametrize("ahead", [0, -1])
@pytest.mark.parametrize("call", [scan, partial(epochs, passes=1)])
def test_at_least_one_result_may_wait(call: Callable[..., object], ahead: int) -> None:
    """With `python -O`, the items were dropped without an error."""
    with pytest.raises(ValueError, match=f"ahead={ahead}; expected 1 or more"):
        call(None, square, list, ahead=ahead)


def test_a_negative_number_of_passes_is_an_error() -> None:
    with pytest.raises(ValueError, match="passes=-1; expected 0 or more"):
        epochs(None, square, list, -1)


def lengths(sizes: list[int]) -> list[int]:
    return [len(group) for group in map(list, scan_groups_seen(sizes))]


def scan_groups_seen(sizes: list[int]) -> list[list[int]]:
    """The groups that an executor gets for items of these sizes."""
    seen: list[list[int]] = []

    class Here(Executor):
        def submit(self, fn: Callable[[list[int]], list[int]], group: list[int]) -> "Future[list[int]]":  # type: ignore[override]  # one item
            seen.append(group)
            future = Future[list[int]]()
            future.set_result(fn(group))
            return future

    assert list(scan_groups(Here(), square, sizes, int)) == list(map(square, sizes))
    return seen


@given(st.lists(st.integers(0, GROUP_BYTES * 2), max_size=60))
def test_small_items_are_grouped_in_order(sizes: list[int]) -> None:
    groups = scan_groups_seen(sizes)
    assert [size for group in groups for size in group] == sizes
    assert all(len(group) <= GROUP_MAX for group in groups)
    assert all(len(group) == 1 or sum(group) <= GROUP_BYTES for group in groups)


def test_an_item_of_unknown_size_has_a_call_of_its_own() -> None:
    assert lengths([1] * 20) == [GROUP_MAX, 4]
    assert lengths([1, 0, 0, 1]) == [1, 1, 1, 1]


def test_groups_and_single_items_give_the_same_results() -> None:
    with processes(2) as executor:
        assert list(scan_groups(executor, square, range(100), lambda _: 1)) == list(map(square, range(100)))
    assert list(scan_groups(None, square, range(100), lambda _: 1)) == list(map(square, range(100)))
