import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from consumer.archive.checking.verify import verify
from consumer.archive.listing import find_archives
from consumer.archive.rewriting import repacker as module
from consumer.archive.rewriting.repack import pays
from consumer.archive.rewriting.repacker import Repacker
from tests.support import archives
from tests.support.archive_logs import archive_log, some


def one_by_one(directory: Path, first: int, count: int) -> Path:
    one = archive_log(directory)
    for serial in range(first, first + count):
        one.append(some(serial, 1))
    one.roll("test")
    return find_archives([directory])[-1]


async def within(seconds: float, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def run(steps: Callable[[Repacker], Awaitable[None]], directory: Path) -> None:
    async def main() -> None:
        repacker = Repacker(directory)
        running = asyncio.create_task(repacker.run())
        try:
            await steps(repacker)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_archives_of_earlier_runs_and_of_this_one_are_repacked(tmp_path: Path) -> None:
    earlier = one_by_one(tmp_path / "archive", 0, 30)

    async def steps(repacker: Repacker) -> None:
        await within(30, lambda: not pays(earlier))
        fresh = one_by_one(tmp_path / "archive", 30, 30)
        repacker.sealed(fresh)
        await within(30, lambda: not pays(fresh))

    run(steps, tmp_path / "archive")
    assert archives.events(tmp_path) == some(0, 60)
    assert [verdict.faults for verdict in verify([tmp_path])] == [[], []]


def test_an_archive_of_this_run_is_undecided_until_it_is_repacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = one_by_one(tmp_path / "archive", 0, 30)

    async def steps(repacker: Repacker) -> None:
        assert not repacker.is_undecided(path)  # of an earlier run
        repacker.sealed(path)
        assert repacker.is_undecided(path)
        await within(30, lambda: not repacker.is_undecided(path))
        assert not pays(path)
        monkeypatch.setattr(module, "DECIDE_S", 0.0)
        repacker.sealed(path)
        assert not repacker.is_undecided(path)

    run(steps, tmp_path / "archive")


def test_an_archive_that_cannot_be_repacked_stops_no_other(tmp_path: Path) -> None:
    gone, there = tmp_path / "archive" / "gone.kvp.zst", one_by_one(tmp_path / "archive", 0, 30)
    there.rename(tmp_path / there.name)

    async def steps(repacker: Repacker) -> None:
        repacker.sealed(gone)
        (tmp_path / there.name).rename(there)
        repacker.sealed(there)
        await within(30, lambda: not pays(there))

    run(steps, tmp_path / "archive")
    assert archives.events(tmp_path) == some(0, 30)


def test_the_end_of_the_service_leaves_no_process_and_a_whole_archive(tmp_path: Path) -> None:
    path = one_by_one(tmp_path / "archive", 0, 3000)

    async def steps(_: Repacker) -> None:
        await within(30, lambda: bool(list(path.parent.glob("*.compacting"))))

    run(steps, tmp_path / "archive")
    assert [verdict.faults for verdict in verify([tmp_path])] == [[]]
    assert archives.events(tmp_path) == some(0, 3000)
    found = subprocess.run(["pgrep", "-f", os.fspath(path)], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_the_command_repacks_and_leaves_deletions_alone(tmp_path: Path) -> None:
    path = one_by_one(tmp_path / "archive", 0, 30)
    command = [sys.executable, "-m", "consumer", "compact", "--repack", os.fspath(tmp_path / "archive")]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert first.stdout.startswith(f"repacked: {path}: ")
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout == "nothing to do\n"


@pytest.mark.parametrize("count", [1, 2])
def test_an_archive_of_few_events_is_decided_by_its_batches(tmp_path: Path, count: int) -> None:
    assert pays(one_by_one(tmp_path / "archive", 0, count)) == (count == 2)
