"""The stage of retention, in a real event loop with a real thread."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from consumer import log
from consumer.ship.retention.limits import Limits
from consumer.ship.retention.retention import Result, Retention
from consumer.ship.retention.stage import RetainStage
from tests.support.retention import World
from tests.support.steps import checkpoint

WAIT_S_MAX = 30.0
Lines = list[dict[str, object]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.seal(3)
    return world


@pytest.fixture
def lines(world: World, monkeypatch: pytest.MonkeyPatch) -> Lines:
    found: Lines = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: found.append({"event": event.name, **fields}))
    return found


def staged(world: World, met: Callable[[RetainStage], bool]) -> None:
    """Run the stage until a condition is met."""

    async def run() -> None:
        stage = RetainStage(world.retention(Limits(count=1)), 0.05)
        running = asyncio.create_task(stage.run())
        deadline = time.monotonic() + WAIT_S_MAX
        while not met(stage):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        assert await stage.drain(asyncio.get_running_loop().time() + WAIT_S_MAX) is None
        await running

    asyncio.run(run())


def test_what_is_removed_is_logged_with_its_reason(world: World, lines: Lines) -> None:
    staged(world, lambda stage: stage.stats() == {"removed": 2, "blocked": 0})
    assert world.left() == [3]
    assert [(line["event"], line["archive"], line["where"]) for line in lines] == [
        ("archive_removed", "one-00000001", "local"),
        ("archive_removed", "one-00000002", "local"),
    ]


def test_what_must_stay_is_one_line_a_run(world: World, lines: Lines) -> None:
    checkpoint(world.root, "f", "one-00000001:0")
    staged(world, lambda stage: stage.stats()["blocked"] == 2)
    assert {(line["event"], line["archives"], line["archive"]) for line in lines} == {
        ("retention_blocked", 2, "one-00000001")
    }


def test_an_error_is_logged_and_the_next_run_goes_on(world: World, lines: Lines) -> None:
    broken = checkpoint(world.root, "f", "one-00000009:0")
    raw = broken.read_bytes()
    broken.write_bytes(b"{")

    def repaired(stage: RetainStage) -> bool:
        if lines and broken.read_bytes() != raw:
            assert (lines[0]["event"], "f.checkpoint" in str(lines[0]["reason"])) == ("retention_failed", True)
            broken.write_bytes(raw)
        return stage.stats()["removed"] == 2

    staged(world, repaired)


def test_a_defect_is_logged_with_its_place_and_the_next_run_goes_on(
    world: World, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, failures = Retention.run, [ValueError("nobody expects it")]

    def failing(retention: Retention) -> Result:
        if failures:
            raise failures.pop()
        return run(retention)

    monkeypatch.setattr(Retention, "run", failing)
    staged(world, lambda stage: stage.stats()["removed"] == 2)
    assert lines[0]["event"] == "retention_failed"
    assert str(lines[0]["reason"]).startswith("ValueError: nobody expects it (test_stage.py, line ")
