"""The stage of the steps, in a real event loop with a real thread."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from consumer import log
from consumer.ship.steps.stage import REPACK_S, Settled, StepsStage
from tests.support.archive_logs import archive_log, some
from tests.support.steps import sealed, worker

WAIT_S_MAX = 30.0


async def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not met():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory)) if directory.exists() else []


def test_an_archive_that_is_offered_goes_through_its_steps(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    (path,) = sealed(root, 1)

    async def run() -> None:
        steps, settled = worker(root, f"link {tmp_path}/new"), Settled()
        steps.ready = settled
        stage = StepsStage(steps, settled)
        running = asyncio.create_task(stage.run())
        stage.offer(path)
        await until(lambda: names(tmp_path / "new") == [path.name])
        assert stage.stats() == {"failing": 0, "waiting": 0}
        assert await stage.drain(asyncio.get_running_loop().time() + WAIT_S_MAX) is None
        await running

    asyncio.run(run())


def test_draining_ends_a_program_that_runs(tmp_path: Path) -> None:
    sealed(tmp_path / "archive", 1)

    async def run() -> None:
        stage = StepsStage(worker(tmp_path / "archive", f"run sh -c 'touch {tmp_path}/begun; sleep 600'"), Settled())
        running = asyncio.create_task(stage.run())
        await until((tmp_path / "begun").exists)
        begun = time.monotonic()
        await stage.drain(asyncio.get_running_loop().time() + WAIT_S_MAX)
        await running
        assert time.monotonic() - begun < WAIT_S_MAX / 2

    asyncio.run(run())


def test_a_directory_that_cannot_be_written_is_reported_and_the_service_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "archive"
    sealed(root, 1)
    lines: list[dict[str, object]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: lines.append({"event": event.name, **fields}))
    (root / "steps").touch()

    async def run() -> None:
        stage = StepsStage(worker(root, "ship"), Settled())
        running = asyncio.create_task(stage.run())
        await until(lambda: bool(lines))
        await stage.drain(asyncio.get_running_loop().time() + WAIT_S_MAX)
        await running

    asyncio.run(run())
    assert lines[0]["event"] == "step_failed"
    assert str(root / "steps") in str(lines[0]["reason"])


def test_an_archive_that_repacking_would_change_is_settled_when_it_is_offered_or_old(tmp_path: Path) -> None:
    (whole,) = sealed(tmp_path / "a", 1)
    settled = Settled()
    assert (settled(whole), settled(whole)) == (True, True)  # a step that failed waited a minute longer than it said

    small = archive_log(tmp_path / "c")
    for serial in range(20):
        small.append(some(serial, 1))
    small.roll("test")
    (path,) = (tmp_path / "c").rglob("*.kvp.zst")
    settled = Settled()
    assert settled(path) is False
    settled.offer(path)
    assert settled(path) is True
    old = time.time() - REPACK_S - 10
    os.utime(path, (old, old))
    assert Settled()(path) is True
    assert Settled()(tmp_path / "gone") is False


def test_a_defect_is_reported_and_the_stage_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed(tmp_path / "archive", 1)
    lines: list[dict[str, object]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: lines.append({"event": event.name, **fields}))
    steps = worker(tmp_path / "archive", "ship")
    looks = []

    def look() -> bool:
        looks.append(1)
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    monkeypatch.setattr(steps, "look", look)

    async def run() -> None:
        stage = StepsStage(steps, Settled())
        running = asyncio.create_task(stage.run())
        await until(lambda: len(looks) == 1 and bool(lines))
        stage.offer(tmp_path)
        await until(lambda: len(lines) == 2)
        await stage.drain(asyncio.get_running_loop().time() + WAIT_S_MAX)
        await running

    asyncio.run(run())
    assert [(line["event"], line["wait_s"]) for line in lines] == [("step_defect", 1.0), ("step_defect", 2.0)]
    assert str(lines[0]["reason"]).startswith("UnicodeDecodeError: ")
