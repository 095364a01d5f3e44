import os
import re
import subprocess
import sys
from pathlib import Path

import aiormq
import pytest

from tests.support import archives


async def test_the_demo_loses_nothing_and_cleans_up(url: str, tmp_path: Path) -> None:
    """All of it: broker, publishing, kill -9, recovery, verify, search."""
    command = [sys.executable, "-m", "consumer", "demo", "--events", "4000", "--keep", str(tmp_path / "kept")]
    environ = os.environ | {"DEEDBOX_BROKER__URL": url}
    (tmp_path / "kept").mkdir()
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    for part in (
        "kill -9",
        "recovered",
        "4,000 of 4,000 equal to the byte, 0 doubled",
        "events were archived and not acknowledged at the kill; they came again",
        "readers hide it by default",
        "complete: ",
        "Nothing was lost.",
    ):
        assert part in done.stdout
    assert len(archives.unmarked(tmp_path / "kept")) == 4000
    (marked,) = re.findall(r"marked +(\d+) events", done.stdout)
    assert 200 <= int(marked) == len(archives.events(tmp_path / "kept")) - 4000
    (queue,) = re.findall(r"consumes queue (\S+)", done.stdout)
    with pytest.raises(aiormq.exceptions.ChannelNotFoundEntity):
        await _declare_passively(url, queue)


async def _declare_passively(url: str, queue: str) -> None:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(queue, passive=True)
