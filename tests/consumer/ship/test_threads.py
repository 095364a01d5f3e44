import threading

import pytest

from consumer.ship.threads import each


def test_every_item_gets_its_result() -> None:
    assert sorted(each(lambda item: item * 2, range(20), 4)) == [(item, item * 2) for item in range(20)]


def test_no_more_items_are_at_work_than_allowed() -> None:
    barrier = threading.Barrier(3, timeout=10)  # breaks unless three are at work together
    at_work, most = 0, 0
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        barrier.wait()
        with lock:
            at_work -= 1

    assert len(list(each(work, range(9), 3))) == 9
    assert most == 3


def test_nothing_is_begun_after_the_stop() -> None:
    done = []
    assert len(list(each(done.append, range(100), 1, lambda: len(done) >= 3))) == 3


def test_nothing_is_begun_after_the_iterator_was_closed() -> None:
    began, go_on = [], threading.Event()

    def work(item: int) -> None:
        began.append(item)
        if item:
            assert go_on.wait(10)

    results = each(work, range(100), 1)
    next(results)
    results.close()
    go_on.set()
    assert len(began) <= 2


def test_an_exception_is_raised_in_the_thread_of_the_caller() -> None:
    def work(item: int) -> int:
        return 1 // item

    with pytest.raises(ZeroDivisionError):
        list(each(work, [1, 0, 1], 2))


def test_no_items_are_no_work() -> None:
    assert list(each(lambda item: item, [], 4)) == []


def test_the_threads_do_not_hold_the_process() -> None:
    daemons = [daemon for _, daemon in each(lambda _: threading.current_thread().daemon, range(2), 2)]
    assert daemons == [True, True]
