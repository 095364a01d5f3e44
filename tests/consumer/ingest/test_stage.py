import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from consumer.ingest.ingest import Ingest
from consumer.ingest.stage import IngestStage


class FakeIngest:
    """Ingest that holds deliveries and commits them when it is stopped, unless the disk hangs."""

    def __init__(self, hangs: bool = False) -> None:
        self.state, self.held = "consuming", 5
        self.counters = SimpleNamespace(archived=3)
        self.generation = SimpleNamespace(buffer=SimpleNamespace(oldest=asyncio.get_running_loop().time() - 2))
        self.calls: list[str] = []
        self._hangs, self._stopped = hangs, asyncio.Event()

    async def run(self) -> None:
        await self._stopped.wait()
        self.held = 0

    async def stop(self) -> None:
        self.calls.append("stop")
        if not self._hangs:
            self._stopped.set()

    async def release(self) -> int:
        self.calls.append("release")
        return self.held


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_a_drain_commits_the_held_deliveries_and_returns_none() -> None:
    played = FakeIngest()
    stage = IngestStage(cast("Ingest", played))
    running = asyncio.create_task(stage.run())
    assert await stage.drain(soon(10)) is None
    await asyncio.wait_for(running, 10)
    assert (played.calls, played.held) == (["stop"], 0)
    assert await stage.drain(soon(10)) is None  # it has ended, and is not stopped again
    assert played.calls == ["stop"]


async def test_at_the_deadline_held_deliveries_are_returned_to_the_broker() -> None:
    played = FakeIngest(hangs=True)
    stage = IngestStage(cast("Ingest", played))
    running = asyncio.create_task(stage.run())
    assert await stage.drain(soon(0.01)) == 5
    assert played.calls == ["stop", "release"]
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])


async def test_stats_have_the_age_of_the_oldest_delivery() -> None:
    played = FakeIngest()
    stats = IngestStage(cast("Ingest", played)).stats()
    assert stats == {"state": "consuming", "archived": 3, "held": 5, "unacked_age_s": pytest.approx(2, abs=0.5)}
    played.generation.buffer.oldest = None
    assert IngestStage(cast("Ingest", played)).stats()["unacked_age_s"] == 0.0
