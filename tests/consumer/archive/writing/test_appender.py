import asyncio
import threading
from pathlib import Path

import pytest

from codec.event import Event
from consumer.archive.writing.appender import Appender
from consumer.errors import Exit, Fatal, StorageFault
from tests.support import archives
from tests.support.archive_logs import archive_log, some
from tests.support.disk import ShadowDisk


async def test_appends_run_on_the_writer_thread_and_in_order(tmp_path: Path) -> None:
    appender = Appender(archive_log(tmp_path))
    threads: set[str] = set()

    def make(first: int):
        def events():
            threads.add(threading.current_thread().name)
            return some(first, 2)

        return events

    await asyncio.gather(*(appender.append(make(first)) for first in range(0, 20, 2)))
    await appender.close()
    assert len(threads) == 1
    assert threads != {threading.current_thread().name}
    assert archives.events(tmp_path) == some(0, 20)


async def test_a_fault_of_the_disk_reaches_the_caller(tmp_path: Path) -> None:
    disk = ShadowDisk(tmp_path)
    disk.step = lambda name: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    appender = Appender(archive_log(tmp_path, disk))
    with pytest.raises(StorageFault):
        await appender.append(lambda: some(0, 1))
    await appender.close()


async def test_an_idle_archive_rolls_by_age(tmp_path: Path) -> None:
    """shoebox looked at the age only when something was written."""
    appender = Appender(archive_log(tmp_path, age_s_max=0.05))
    timer = asyncio.create_task(appender.run_timer())
    await appender.append(lambda: some(0, 1))
    while not list(tmp_path.glob("*/*.kvp.zst")):
        await asyncio.sleep(0.01)
    timer.cancel()
    await appender.close()
    assert archives.events(tmp_path) == some(0, 1)


async def test_a_cancelled_caller_leaves_the_append_whole(tmp_path: Path) -> None:
    appender = Appender(archive_log(tmp_path))
    begun, go_on = threading.Event(), threading.Event()

    def events():
        begun.set()
        go_on.wait()
        return some(0, 3)

    task = asyncio.create_task(appender.append(events))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    go_on.set()
    await asyncio.gather(task, return_exceptions=True)
    await appender.append(lambda: some(3, 1))
    await appender.close()
    assert archives.events(tmp_path) == some(0, 4)


async def test_a_step_runs_on_the_writer_thread(tmp_path: Path) -> None:
    appender = Appender(archive_log(tmp_path))
    assert await appender.run(lambda: threading.current_thread().name) == "writer"
    await appender.probe()
    await appender.close()


async def test_an_exception_that_is_no_fault_of_the_disk_is_fatal_and_names_its_place(tmp_path: Path) -> None:
    def make() -> list[Event]:
        raise LookupError("a defect")

    appender = Appender(archive_log(tmp_path))
    with pytest.raises(Fatal, match=r"LookupError\('a defect'\) at test_appender.py:") as caught:
        await appender.append(make)
    assert caught.value.exit is Exit.WRITER
    await appender.append(lambda: some(0, 1))
    await appender.close()
