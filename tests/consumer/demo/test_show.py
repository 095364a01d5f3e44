import os
import re
import subprocess
import sys
from pathlib import Path

import aiormq
import pytest

from consumer.demo.show import Run
from consumer.errors import Exit
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
        "4,000 of 4,000 notifications are archived byte for byte, 0 of them twice without a mark",
        "events were archived and not acknowledged when the service was killed; the broker delivered them again",
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


def demo(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consumer", "demo", *arguments]
    environ = os.environ | {"DEEDBOX_BROKER__URL": url}
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environ)


def test_a_directory_that_is_missing_is_made_and_the_fewest_events_are_enough(url: str, tmp_path: Path) -> None:
    """A missing directory was an error, after the broker had been started."""
    kept = tmp_path / "a" / "b"
    done = demo(url, "--events", "100", "--keep", str(kept))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(archives.unmarked(kept)) == 100


def test_a_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    """The archives of an earlier demo were counted as those of this one, and the demo ended with a traceback."""
    (tmp_path / "demo.log").write_text("of an earlier demo\n")
    done = demo("amqp://127.0.0.1:1/", "--keep", str(tmp_path))
    assert (done.returncode, done.stdout) == (Exit.SETTINGS, "")
    assert done.stderr == f"deedbox: --keep {tmp_path}: the directory is not empty; use a new or an empty directory\n"


@pytest.mark.parametrize("count", ["99", "0", "-1"])
def test_too_few_events_are_refused(count: str) -> None:
    """With one event the demo waited in vain for something to recover."""
    done = demo("amqp://127.0.0.1:1/", "--events", count)
    assert (done.returncode, done.stdout) == (Exit.SETTINGS, "")
    assert done.stderr == f"deedbox: --events {count}; use 100 or more\n"


def test_a_demo_that_fails_leaves_no_service(tmp_path: Path) -> None:
    """The service continued after the demo had ended."""
    with Run("amqp://127.0.0.1:1/", "x", tmp_path) as run:
        service = run.process
        assert service.poll() is None
    assert service.poll() is not None


async def _declare_passively(url: str, queue: str) -> None:
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(queue, passive=True)
