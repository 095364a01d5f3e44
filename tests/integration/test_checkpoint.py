"""`deedbox tail --checkpoint`: killed at any moment, it continues at its checkpoint, and it shows only durable events."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from consumer.archive.position import Position
from consumer.follow.checkpoint import checkpoint_path
from consumer.follow.tail import EVENTS_MAX
from tests.support.archive_logs import archive_log, some

BATCH = 5
KILLS = 12

# Appends a batch, waits in the sync of the next one until a file appears, and ends.
HELD_SYNC = """
import sys, time
from pathlib import Path
from consumer.disk.durable import Disk
from tests.support.archive_logs import archive_log, some

directory, released = Path(sys.argv[1]), Path(sys.argv[2])

class Held(Disk):
    waits = False
    def sync(self, fd):
        if self.waits:
            print("syncing", flush=True)
            while not released.exists():
                time.sleep(0.01)
        super().sync(fd)

disk = Held()
archives = archive_log(directory, disk)
archives.append(some(0, 2))
disk.waits = True
archives.append(some(2, 2))
print("durable", flush=True)
sys.stdin.readline()
"""


def tail(directory: Path, *options: str, out: int | None = None) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "consumer", "tail", str(directory), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE if out is None else out, stderr=subprocess.PIPE)


def finish(process: "subprocess.Popen[bytes]") -> tuple[int, bytes, bytes]:
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


def positions(raw: bytes) -> list[Position]:
    """Those of whole lines: a kill may cut the last one short."""
    whole = raw[: raw.rfind(b"\n") + 1]
    return [Position.parse(orjson.loads(line)["position"]) for line in whole.splitlines()]


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def write_on(directory: Path, stop: threading.Event) -> None:
    archives = archive_log(directory, events_max=120)
    for at in itertools.count():
        archives.append(some(at * BATCH, BATCH))
        if stop.wait(0.002):
            return


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Path]:
    """A directory to which batches of BATCH events are written until the test ends."""
    stop = threading.Event()
    thread = threading.Thread(target=write_on, args=(tmp_path / "archive", stop))
    thread.start()
    yield tmp_path / "archive"
    stop.set()
    thread.join()


def test_killed_at_any_moment_it_skips_nothing_and_repeats_the_last_batch_at_most(
    writing: Path, tmp_path: Path
) -> None:
    chance = random.Random(11)
    runs = []
    for number in range(KILLS):
        out = tmp_path / f"out-{number}"
        fd = os.open(out, os.O_WRONLY | os.O_CREAT)
        process = tail(writing, "-f", "--checkpoint", "billing", out=fd)
        os.close(fd)
        wait_until(lambda out=out: out.stat().st_size > 0, "events are printed")
        time.sleep(chance.uniform(0, 0.3))  # the kill comes at any moment; no result depends on it
        process.send_signal(signal.SIGKILL)
        process.communicate()
        runs.append(positions(out.read_bytes()))
    assert runs[0][0] == Position("one", 1, 0)
    flat = [position for run in runs for position in run]
    assert len({position.sequence for position in flat}) > 1, "an archive was rolled"
    for before, after in itertools.pairwise(runs):
        assert before == sorted(set(before))
        repeated = [position for position in after if position <= before[-1]]
        assert len(repeated) <= EVENTS_MAX
        assert repeated == before[len(before) - len(repeated) :]
    seen = sorted(set(flat))
    for sequence, group in itertools.groupby(seen, key=lambda position: position.sequence):
        numbers = [position.event for position in group]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) == 120 or sequence == seen[-1].sequence


def test_a_batch_is_printed_only_after_its_sync_has_returned_in_another_process(tmp_path: Path) -> None:
    directory, released = tmp_path / "archive", tmp_path / "released"
    writer = subprocess.Popen(
        [sys.executable, "-c", HELD_SYNC, str(directory), str(released)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"syncing\n"
    for options in (("-n", "100"), ("--checkpoint", "billing")):
        status, out, _ = finish(tail(directory, *options))
        assert (status, [position.event for position in positions(out)]) == (0, [0, 1])
    following = tail(directory, "-f", "-n", "100")
    assert following.stdout is not None
    printed = [following.stdout.readline() for _ in range(2)]
    released.touch()
    assert writer.stdout.readline() == b"durable\n"
    printed += [following.stdout.readline() for _ in range(2)]
    assert [position.event for position in positions(b"".join(printed))] == [0, 1, 2, 3]
    following.send_signal(signal.SIGINT)
    following.communicate()
    status, out, _ = finish(tail(directory, "--checkpoint", "billing"))
    assert (status, [position.event for position in positions(out)]) == (0, [2, 3])
    writer.communicate(b"\n")


def test_without_follow_each_run_prints_the_events_since_the_last_one(tmp_path: Path) -> None:
    archives = archive_log(tmp_path / "archive")
    printed = []
    for at in range(3):
        archives.append(some(at * 2, 2))
        status, out, errors = finish(tail(tmp_path / "archive", "--checkpoint", "hourly", "--type", "type.1"))
        assert (status, errors) == (0, b"")
        printed.append([orjson.loads(line)["id"] for line in out.splitlines()])
    assert printed == [["id-1"], [], ["id-4"]]


def test_a_checkpoint_whose_event_was_removed_ends_the_command_with_the_reason(tmp_path: Path) -> None:
    directory = tmp_path / "archive"
    archives = archive_log(directory)
    archives.append(some(0, 2))
    archives.roll("test")
    finish(tail(directory, "--checkpoint", "billing"))
    for path in directory.rglob("*.kvp.zst"):
        path.unlink()
    status, out, errors = finish(tail(directory, "--checkpoint", "billing"))
    assert (status, out) == (1, b"")
    assert b"the checkpoint ends at one-00000001:1: archive one-00000001 is not there" in errors
    assert checkpoint_path(directory, "billing").exists()


def test_two_followers_of_one_name_are_refused(writing: Path) -> None:
    wait_until(lambda: any(writing.glob("*.open")), "the archive is open")
    first = tail(writing, "-f", "--checkpoint", "billing")
    assert first.stdout is not None
    first.stdout.readline()
    status, _, errors = finish(tail(writing, "-f", "--checkpoint", "billing"))
    first.kill()
    first.communicate()
    assert status == 16
    assert b"is used by another process" in errors


@pytest.mark.parametrize("options", [("--checkpoint", "billing", "--newest", "3"), ("more", "--checkpoint", "billing")])
def test_options_that_a_checkpoint_excludes_are_an_error(tmp_path: Path, options: tuple[str, ...]) -> None:
    archive_log(tmp_path / "archive").append(some(0, 1))
    status, _, errors = finish(tail(tmp_path / "archive", *options))
    assert status == 2
    assert b"--checkpoint billing" in errors
    assert not (tmp_path / "archive" / "followers").exists()
