"""The stage and its process. `tests/integration/test_mirror.py` has the brokers."""

import asyncio
from pathlib import Path

import pytest

from consumer import log
from consumer.errors import Fatal
from consumer.log import LogEvent
from consumer.replay import stage
from consumer.replay.settings import ReplaySection
from consumer.replay.stage import ReplayStage, replay_stage
from consumer.stage import RunningStages

NOWHERE = ReplaySection(url="amqp://guest:guest@127.0.0.1:1/")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    found: list[tuple[str, dict[str, object]]] = []

    def emit(event: LogEvent, **fields: object) -> None:
        found.append((event.name, fields))

    monkeypatch.setattr(log, "emit", emit)
    return found


async def until(lines: list[tuple[str, dict[str, object]]], name: str) -> dict[str, object]:
    async with asyncio.timeout(60):
        while True:
            for line, fields in lines:
                if line == name:
                    return fields
            await asyncio.sleep(0.02)


async def ended(running: RunningStages) -> None:
    async with asyncio.timeout(10):
        while running.running():
            await asyncio.sleep(0.01)


async def test_without_a_broker_it_tries_again_and_ends_when_it_is_drained(
    tmp_path: Path, lines: list[tuple[str, dict[str, object]]]
) -> None:
    made = replay_stage(tmp_path, NOWHERE, "one", every_s=0.1)
    assert made is not None
    running = RunningStages([made])
    failed = await until(lines, "mirror_connect_failed")
    assert "127.0.0.1:1" in str(failed["destination"])
    assert "guest:guest" not in str(failed)
    assert made.summary() == "connecting, 0 behind"
    assert await running.drain(asyncio.get_running_loop().time() + 30) is None
    await ended(running)
    assert running.failures() == {}
    assert [name for name, _ in lines if name in ("mirror_stopped", "mirror_ended")] == ["mirror_stopped"]
    assert (tmp_path / "followers" / "mirror.checkpoint").exists()  # retention waits for it from the start on


async def test_a_process_that_ends_by_itself_is_started_again(
    tmp_path: Path, lines: list[tuple[str, dict[str, object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "RETRY_S", 0.01)
    made = ReplayStage(tmp_path, ReplaySection(url="amqp://h/", routing_key="k" * 300), "one", 1.0)
    running = RunningStages([made])
    first = await until(lines, "mirror_ended")
    assert first["reason"] == "status 1"
    lines.clear()
    await until(lines, "mirror_ended")
    await running.drain(asyncio.get_running_loop().time() + 30)
    assert running.failures() == {}


async def test_a_process_that_does_not_end_is_killed_at_the_deadline(tmp_path: Path) -> None:
    made = replay_stage(tmp_path, NOWHERE, "one", every_s=1.0)
    assert made is not None
    running = RunningStages([made])
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(30):
        while not made.stats():
            await asyncio.sleep(0.02)
    began = loop.time()
    await running.drain(began)
    assert loop.time() - began < 4
    await ended(running)


async def test_no_url_means_no_stage_and_a_wrong_setting_is_found_at_the_start(tmp_path: Path) -> None:
    assert replay_stage(tmp_path, ReplaySection(), "one", 1.0) is None
    for wrong in (
        ReplaySection(url="amqps://h/", ca_file="/nowhere"),
        ReplaySection(url="amqp://h/", from_routing_key="a#b"),
    ):
        with pytest.raises(Fatal, match=r"replay\.ca_file|a#b"):
            replay_stage(tmp_path, wrong, "one", 1.0)
