import asyncio
import threading
from pathlib import Path

import pytest

from consumer.archive.reading.tombstones import Tombstones
from consumer.archive.rewriting.rewrite import Change, rewrite
from consumer.disk.durable import Disk
from consumer.objects.url import ObjectUrl
from consumer.ship import pacing
from consumer.ship import shipper as module
from consumer.ship import stage as stages
from consumer.ship.destination import Destination, Limits
from consumer.ship.outcome import PassResult
from consumer.ship.pacing import Bandwidth
from consumer.ship.shipper import Shipper
from consumer.ship.stage import ShipStage
from consumer.stage import RunningStages
from tests.support.shipping import Reports, holds, local, seal


def stage(directory: Path, place: ObjectUrl, reports: Reports | None = None) -> ShipStage:
    return ShipStage(Shipper(directory, [place], Limits(Bandwidth(0)), reports or Reports()))


async def test_it_ships_until_it_is_drained(directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    seal(directory, 2)
    shipped, loop = asyncio.Semaphore(0), asyncio.get_running_loop()
    reports = Reports()
    reports.shipped = lambda *_: loop.call_soon_threadsafe(shipped.release)  # type: ignore[method-assign]
    made = stage(directory, place, reports)
    running = RunningStages([made])
    async with asyncio.timeout(10):
        for _ in range(2):
            await shipped.acquire()
    assert await running.drain(loop.time() + 10) is None
    assert not made.is_busy
    assert running.failures() == {}
    assert holds(place) == local(directory)
    figures = made.stats()[str(place)]
    assert isinstance(figures, dict)
    assert (figures["shipped"], figures["waiting"], figures["reason"]) == (2, 0, "")


async def test_the_drain_does_not_wait_for_a_storage_that_does_not_answer(
    directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "DRAIN_S", 0.05)
    asked, answer = threading.Event(), threading.Event()

    def hang(_: Destination) -> PassResult:
        asked.set()
        answer.wait(20)
        return PassResult()

    monkeypatch.setattr(Destination, "run_pass", hang)
    made = stage(directory, place)
    running = asyncio.create_task(made.run())
    assert await asyncio.to_thread(asked.wait, 10)
    assert await made.drain(asyncio.get_running_loop().time() + 60) is None
    assert made.is_busy
    answer.set()
    await asyncio.wait_for(running, 10)


async def test_a_defect_is_reported_and_does_not_end_the_service(
    directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    monkeypatch.setattr(pacing, "PAUSE_S_MIN", 0.01)
    seal(directory, 1)
    real, calls = Destination.run_pass, iter(range(100))
    loop, passed, reports = asyncio.get_running_loop(), asyncio.Event(), Reports()

    def fail_twice(one: Destination) -> PassResult:
        if next(calls) < 2:
            raise LookupError("a defect")
        loop.call_soon_threadsafe(passed.set)
        return real(one)

    monkeypatch.setattr(Destination, "run_pass", fail_twice)
    running = RunningStages([stage(directory, place, reports)])
    await asyncio.wait_for(passed.wait(), 10)
    assert running.failures() == {}
    assert await running.drain(loop.time() + 10) is None
    assert running.failures() == {}
    assert [line[:2] for line in reports.lines[:2]] == [("defect", "")] * 2
    assert "failed" not in reports.kinds()
    assert reports.lines[0][2].startswith("LookupError: a defect (test_stage.py, line ")


async def test_an_archive_that_is_rewritten_soon_is_shipped_once(
    directory: Path, place: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each archive that the service repacked was sent twice."""
    monkeypatch.setattr(module, "POLL_S", 0.01)
    paths = seal(directory, 2)
    changing, loop, shipped = {paths[0]}, asyncio.get_running_loop(), asyncio.Semaphore(0)
    reports = Reports()
    reports.shipped = lambda _, name, *__: loop.call_soon_threadsafe(released, name)  # type: ignore[method-assign]
    names: list[str] = []

    def released(name: str) -> None:
        names.append(name)
        shipped.release()

    made = stage(directory, place, reports)
    made.leave_out(changing.__contains__)
    running = RunningStages([made])
    async with asyncio.timeout(10):
        await shipped.acquire()
        figures = made.stats()[str(place)]
        assert isinstance(figures, dict)
        assert figures["waiting"] == 1
        rewrite(Disk(), paths[0], Change(Tombstones(), 1 << 20, 12))
        changing.clear()
        await shipped.acquire()
    await running.drain(loop.time() + 10)
    assert names == [f"20251121/{path.name}" for path in reversed(paths)]
    assert holds(place) == local(directory)
