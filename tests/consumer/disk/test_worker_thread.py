import asyncio
import threading

import pytest

from consumer.disk.worker_thread import StepThread


async def test_steps_run_in_order_on_one_thread_of_this_name() -> None:
    thread, ran = StepThread("steps"), []

    def step(number: int) -> str:
        ran.append(number)
        return threading.current_thread().name

    assert set(await asyncio.gather(*(thread.run(lambda n=n: step(n)) for n in range(10)))) == {"steps"}
    assert ran == list(range(10))
    thread.end()


async def test_an_exception_of_a_step_reaches_its_caller_and_the_next_step_runs() -> None:
    thread = StepThread("steps")
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert await thread.run(lambda: 5) == 5
    thread.end()


async def test_a_step_that_has_begun_ends_and_one_that_has_not_is_left_out_when_its_caller_is_cancelled() -> None:
    thread, go_on, ran = StepThread("steps"), threading.Event(), []
    begun = threading.Event()

    def first() -> None:
        begun.set()
        go_on.wait(10)
        ran.append("first")

    tasks = [asyncio.create_task(thread.run(first)), asyncio.create_task(thread.run(lambda: ran.append("second")))]
    while not begun.is_set():
        await asyncio.sleep(0.001)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    go_on.set()
    await thread.run(lambda: ran.append("third"))
    assert ran == ["first", "third"]
    thread.end()
