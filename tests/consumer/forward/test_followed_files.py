"""The watched files take turns, and their positions are stored."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.disk.durable import Disk
from consumer.forward.followed_files import FollowedFiles
from consumer.forward.state import WatchState
from consumer.watch.backends import Polling


@pytest.fixture
def state(tmp_path: Path) -> Iterator[WatchState]:
    made = WatchState(Disk(), tmp_path / "state")
    yield made
    made.close()


async def test_files_take_turns(tmp_path: Path, state: WatchState) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x\n" * 501)  # more than one batch
    files = FollowedFiles([tmp_path / "a", tmp_path / "b", tmp_path / "a"], state, Polling(0.001), from_start=True)
    assert len(files) == 2
    read = [await files.read() for _ in range(5)]
    assert [(follower.path.name, len(lines)) for follower, lines in read[:4]] == [
        ("b", 500),
        ("a", 500),
        ("b", 1),
        ("a", 1),
    ]
    assert read[4][1] == []
    files.close()


async def test_only_confirmed_lines_are_stored(tmp_path: Path, state: WatchState) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    files = FollowedFiles([path], state, Polling(0.001), from_start=True)
    follower, lines = await files.read()
    await files.store()
    assert [position.offset for position in state.known[str(path)]] == [0]
    await files.confirm(follower)
    await files.store()
    assert ([line.text for line in lines], [position.offset for position in state.known[str(path)]]) == ([b"one"], [4])
    files.close()


async def test_files_are_checked_again_and_again(tmp_path: Path, state: WatchState) -> None:
    path = tmp_path / "log"
    files = FollowedFiles([path], state, Polling(0.001), from_start=False)
    checking = asyncio.create_task(files.keep_checking())
    path.write_bytes(b"one\n")
    async with asyncio.timeout(30):
        while not (read := await files.read())[1]:
            files.checked.clear()
            await files.checked.wait()
    assert [line.text for line in read[1]] == [b"one"]
    files.interrupt()
    checking.cancel()
    await asyncio.gather(checking, return_exceptions=True)
    files.close()
