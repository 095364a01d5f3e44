import asyncio

import pytest

from consumer.stage import Background, RunningStages, Stage


class Played:
    """A stage that ends when it is drained, unless it hangs."""

    def __init__(self, name: str, calls: list[str], hangs: bool = False, error: Exception | None = None) -> None:
        self.name = name
        self._calls, self._hangs, self._error = calls, hangs, error
        self._drained = asyncio.Event()

    async def run(self) -> None:
        if self._error:
            raise self._error
        await self._drained.wait()
        self._calls.append(f"{self.name} ended")

    async def drain(self, deadline: float) -> int | None:
        self._calls.append(f"drain {self.name}")
        if self._hangs:
            await asyncio.sleep(max(deadline - asyncio.get_running_loop().time(), 0.0))
            return 7
        self._drained.set()
        await asyncio.sleep(0)
        return None

    def stats(self) -> dict[str, object]:
        return {}


def soon(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def wait_without_end() -> None:
    await asyncio.Event().wait()


async def failing() -> None:
    raise OSError("disk")


async def test_stages_are_drained_one_after_the_other_in_their_order() -> None:
    calls: list[str] = []
    stages = RunningStages([Played("one", calls), Played("two", calls)])
    assert stages.running() == ["one", "two"]
    assert await stages.drain(soon()) is None
    assert calls == ["drain one", "one ended", "drain two", "two ended"]
    assert (stages.running(), stages.failures()) == ([], {})


async def test_a_stage_that_misses_the_deadline_is_still_running_and_the_others_are_drained() -> None:
    calls: list[str] = []
    stages = RunningStages(
        [Played("one", calls, hangs=True), Played("two", calls), Background("three", wait_without_end())]
    )
    assert await stages.drain(soon(0.01)) == 7
    assert stages.running() == ["one"]
    assert "two ended" in calls


@pytest.mark.parametrize("failed", [Played("two", [], error=OSError("disk")), None])
async def test_a_stage_that_fails_ends_the_wait_and_its_error_is_kept(failed: Stage | None) -> None:
    calls: list[str] = []
    stages = RunningStages([Played("one", calls), failed or Background("two", failing())])
    await asyncio.wait_for(stages.first_end(asyncio.get_running_loop().create_future()), 10)
    assert stages.running() == ["one"]
    assert [(name, str(error)) for name, error in stages.failures().items()] == [("two", "disk")]
    await stages.drain(soon())
    assert (stages.running(), list(stages.failures())) == ([], ["two"])


async def test_another_future_ends_the_wait() -> None:
    stages = RunningStages([Background("one", wait_without_end())])
    signal = asyncio.get_running_loop().create_future()
    signal.set_result("SIGTERM")
    await asyncio.wait_for(stages.first_end(signal), 10)
    assert stages.running() == ["one"]
    await stages.drain(soon())


async def test_background_work_is_cancelled_also_after_the_deadline() -> None:
    one = Background("one", wait_without_end())
    stages = RunningStages([one])
    await asyncio.sleep(0)
    assert await stages.drain(soon(-1)) is None
    assert (stages.running(), stages.failures(), one.stats()) == ([], {}, {})


async def test_background_work_that_does_not_end_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.stage.CANCEL_S", 0.01)
    ended = asyncio.Event()

    async def stubborn() -> None:
        while not ended.is_set():
            try:
                await ended.wait()
            except asyncio.CancelledError:
                pass

    stages = RunningStages([Background("one", stubborn())])
    await asyncio.sleep(0)
    assert await stages.drain(soon(-1)) == 0
    assert stages.running() == ["one"]
    ended.set()
    await stages.drain(soon())


async def test_after_a_drain_that_fails_the_later_stages_are_drained_too() -> None:
    class Broken(Played):
        async def drain(self, deadline: float) -> int | None:
            self._drained.set()
            raise OSError("disk")

    calls: list[str] = []
    stages = RunningStages([Broken("one", calls), Played("two", calls)])
    assert await stages.drain(soon()) == 0
    assert "two ended" in calls
    assert [(name, str(error)) for name, error in stages.failures().items()] == [("one", "disk")]
