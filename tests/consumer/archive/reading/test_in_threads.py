import threading

import pytest

from consumer.archive.reading.in_threads import in_threads

WAIT_S = 20.0


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(in_threads(lambda number: number * 2, range(100), 7)) == list(range(0, 200, 2))
    assert list(in_threads(str, [])) == []


def test_calls_run_at_the_same_time() -> None:
    together = threading.Barrier(8, timeout=WAIT_S)
    assert len(list(in_threads(lambda _: together.wait(), range(16), 8))) == 16


def test_an_error_is_raised_when_its_result_is_next() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise OSError("gone")
        return number

    results = in_threads(work, range(10))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="gone"):
        next(results)


def test_a_reader_that_stops_early_asks_for_few() -> None:
    asked: list[int] = []
    results = in_threads(asked.append, range(1000), begin=2)
    next(results)
    results.close()
    assert len(asked) <= 4
