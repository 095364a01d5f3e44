"""Retention on bad days: killed with -9, and on a disk that is full while the destination is away.

`python -m tests.faults.test_retain 200` kills it two hundred times.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.archive.checking.verify import verify
from consumer.archive.digests.history import retired
from consumer.archive.listing import find_archives
from consumer.archive.naming import ArchiveId, parse_sealed
from consumer.archive.writing.sealing import digest
from consumer.objects.stores import store_of
from consumer.ship.retention.limits import Limits
from tests.support import archives
from tests.support.archive_logs import START_US, archive_log, event
from tests.support.command_line import deedbox as command_line
from tests.support.mounts import small_ext4
from tests.support.process import Deedbox
from tests.support.retention import World, reasons, upload
from tests.support.wire import WirePublisher

KILLS = 8
MESSAGES = 400  # of 50 kB: more than the disk holds
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a real file system takes root")


def command(world: World, *limits: str) -> "subprocess.Popen[bytes]":
    """`deedbox retain` in a process of its own."""
    to = [part for url in world.urls for part in ("--to", str(url))]
    return subprocess.Popen(
        [sys.executable, "-m", "consumer", "retain", str(world.root), *to, *limits],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def shipped(world: World) -> dict[int, str]:
    """SHA-256 by sequence of the archives of instance one at the destination, by their content."""
    url = world.urls[0]
    found = {}
    for one in store_of(url).list(url):
        if (archive := parse_sealed(one.url)) is not None:
            found[archive.sequence] = digest(Path(url.bucket) / one.url.key)
    return found


def kill_many_times(world: World, times: int, seed: int) -> int:
    """Kill `retain` at random points while archives are made and some are not shipped. Returns how many runs were killed."""
    chance = random.Random(seed)
    world.destination("a")
    sealed: dict[int, str] = {}
    killed, duration_s = 0, 1.0
    for _ in range(times):
        paths = world.seal(3)
        sealed |= {archive.sequence: digest(path) for path in paths if (archive := parse_sealed(path))}
        upload(world.root, world.urls[0], *chance.sample(paths, len(paths) * 3 // 4))
        begun = time.monotonic()
        process = command(world, "--count", "2")
        try:
            process.wait(chance.uniform(duration_s / 3, duration_s))
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        process.communicate()
        duration_s = duration_s if process.returncode == -9 else 0.9 * duration_s + 0.1 * (time.monotonic() - begun)
        check(world, sealed)
    world.upload()
    process = command(world, "--count", "2")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    world.upload()
    command(world, "--count", "2").communicate(timeout=60)
    check(world, sealed)
    assert len(world.left()) == 2
    assert world.left()[-1] == max(sealed)
    assert shipped(world) == sealed
    assert [str(fault) for verdict in verify([world.root, world.urls[0]]) for fault in verdict.faults] == []
    return killed


def check(world: World, sealed: dict[int, str]) -> None:
    """Each archive is here or at the destination, what is gone is recorded, and verify finds nothing wrong."""
    left, there, gone = world.left(), shipped(world), retired(world.root)
    for sequence, sha256 in sealed.items():
        if sequence not in left:
            assert there.get(sequence) == sha256
            assert (ArchiveId("one", sequence), "local") in gone
    assert [str(fault) for verdict in verify([world.root]) for fault in verdict.faults] == []


def test_kill_9_at_random_points_leaves_every_archive_somewhere_and_recorded(tmp_path: Path) -> None:
    kill_many_times(World(tmp_path), KILLS, seed=1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_ext4(tmp_path, 16) as mount:
        yield mount


@NEEDS_ROOT
def test_a_disk_that_fills_while_the_destination_is_away_loses_nothing_that_is_not_shipped(
    tmp_path: Path, disk: Path
) -> None:
    world = World(disk)
    url = World(tmp_path).destination("remote")
    world.urls.append(url)
    one = archive_log(world.root)
    for number in range(10):
        one.append([event(number)._replace(body=os.urandom(1 << 20), arrived_us=START_US + number)])
        one.roll("test")
    limits = Limits(free_bytes=8 << 20)
    Path(url.bucket).rename(tmp_path / "away")
    result = world.run(limits)
    assert (len(world.left()), result.removed) == (10, [])
    assert "does not answer" in reasons(result)[0]
    (tmp_path / "away").rename(url.bucket)
    world.upload()
    result = world.run(limits)
    assert result.removed
    stat = os.statvfs(world.root)
    assert stat.f_bavail * stat.f_frsize >= 8 << 20
    assert sorted(shipped(world)) == list(range(1, 11))
    assert len(find_archives([world.root])) == 10 - len(result.removed)


@NEEDS_ROOT
def test_the_service_pauses_on_a_full_disk_while_the_destination_is_away_and_resumes(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path, disk: Path
) -> None:
    """Retention deletes nothing that is not shipped; when the destination is back, archives go and ingest resumes."""
    remote = World(tmp_path).destination("remote")
    Path(remote.bucket).rename(tmp_path / "away")
    settings = {
        "archive.free_bytes_min": "3MiB", "roll.bytes": "1MiB", "ship.destinations": str(remote), "retain.free_bytes": "8MiB",
        "retain.every_s": "1", "batch.bytes": "256KiB",
    }  # fmt: skip
    flags = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    arguments = ("--url", url, "--queue", name, "--exchange", name, "--instance", "one", *flags)
    with Deedbox(disk / "archive", *arguments, log=tmp_path / "log") as deedbox:
        deedbox.wait_for("consuming")
        for number in range(MESSAGES):
            publisher.publish(name.encode(), b"a", b"\0\0", b"%06d" % number + os.urandom(50_000))
        publisher.wait_for_confirms()
        deedbox.wait_for("paused")
        deedbox.wait_for("retention_blocked")
        held = sum(parse_sealed(path) is not None for path in find_archives([disk / "archive"]))
        assert held >= 8
        assert deedbox.lines("archive_removed") == []
        (tmp_path / "away").rename(remote.bucket)
        deedbox.wait_for("archive_removed")
        deedbox.wait_for("resumed")

        def archived() -> set[int]:
            places = [disk / "archive", Path(remote.bucket)]
            try:
                return {int(event.body[:6]) for place in places for event in archives.events(place)}
            except FileNotFoundError:
                return set()  # removed while it was read

        deedbox.wait_until(lambda: archived() == set(range(MESSAGES)), "all archived")
        assert deedbox.stop() == 0
    done = command_line("verify", disk / "archive")
    assert done.returncode == 0, done.stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        print(kill_many_times(World(Path(directory)), int(sys.argv[1]), seed=int((sys.argv[2:] or ["1"])[0])), "killed")
