"""`deedbox ship` is killed with -9 at random points while archives are made, rewritten and deleted from.

Afterwards each destination holds each sealed archive once, as it is here, and `verify` over all places finds no fault. The suite kills it a few times. For longer:
python -m tests.integration.test_ship_kill 200
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from codec.event import Event
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import add_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.archive.rewriting.repack import repack
from consumer.archive.writing.rolling import RollReason
from consumer.disk.durable import Disk
from consumer.objects.stores import configure
from consumer.objects.url import ObjectUrl
from tests.support.archive_logs import START_US, archive_log
from tests.support.s3 import S3
from tests.support.seaweedfs import seaweedfs as new_seaweedfs
from tests.support.shipping import holds, local

SEED = 20261128
KILLS = 4
LARGE = 0.04  # the share of archives that are uploaded in parts
BODY = 256 << 10
RATE = "6MiB"  # so that kills hit uploads in parts
RUN_S = 1.5  # the longest time from the first line of the log to the kill


@dataclass
class Maker(threading.Thread):
    """Makes archives until it is told to stop. Some are large, some are repacked, some lose an event."""

    directory: Path
    seed: int
    made: int = 0
    rewritten: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    def __post_init__(self) -> None:
        super().__init__(name="maker")
        self.random = random.Random(self.seed)
        self.log = archive_log(self.directory)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        try:
            while not self.stopping.wait(self.random.uniform(0.0, 0.3)):
                self._make()
        except BaseException as error:  # noqa: BLE001 -- the test raises it
            self.error = error

    def _make(self) -> None:
        large = self.random.random() < LARGE
        for _ in range(24 if large else self.random.randint(1, 20)):
            self.log.append([self._event(BODY if large else self.random.randrange(2000))])
        self.log.roll(RollReason.SIGNAL)
        self.made += 1
        path = max(self.directory.glob("2*/*.kvp.zst"), key=lambda path: path.name[-16:])
        chance = self.random.random()
        if chance < 0.2:
            self.rewritten += sum(1 for _ in repack(Disk(), [path]))
        elif chance < 0.4:
            with ArchiveFile(path) as archive:
                add_tombstones(Disk(), archive, [0], "any", "2026-11-28T00:00:00Z")
            if chance < 0.3:
                self.rewritten += sum(1 for _ in compact(Disk(), [path]))

    def _event(self, size: int) -> Event:
        self.serial = getattr(self, "serial", 0) + 1
        at = START_US + self.serial
        return Event(f"id-{self.serial}", "type", at, at, "exchange", "key", b"\0\0", self.random.randbytes(size))


@dataclass
class Result:
    """What happened. `parts`: uploads that were left unfinished at the storage."""

    archives: int
    rewritten: int
    kills: int
    shipped: int
    parts: int
    objects: int
    seconds: float


def kill_again_and_again(s3: S3, url: ObjectUrl, directory: Path, kills: int, seed: int) -> Result:
    """Ship to a bucket and to a directory, and check both at the end."""
    began, chance = time.monotonic(), random.Random(seed)
    copy, logs = directory.parent / "copy", directory.parent / "ship.log"
    copy.mkdir()
    command = [
        sys.executable, "-m", "consumer", "ship", str(directory), "--to", str(url), "--to", f"file://{copy}",
        "--set", "objects.part_bytes=5MiB", "--set", "ship.digest_s=5", "--set", "service.log=json",
        "--set", f"ship.bytes_per_s={RATE}",
    ]  # fmt: skip
    environ = os.environ | s3.environ()
    maker = Maker(directory, seed)
    maker.start()
    try:
        for _ in range(kills):
            kill_once(command, environ, logs, chance.uniform(0.0, RUN_S))
    finally:
        maker.stopping.set()
        maker.join()
    assert maker.error is None, maker.error
    done = subprocess.run(
        [*command, "--set", "ship.bytes_per_s=0", "--once"],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        env=environ,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    expected = expected_objects(directory)
    for place in (url, ObjectUrl.of_directory(str(copy))):
        assert holds(place) == expected, place
    assert len(local(directory)) == maker.made
    command = [sys.executable, "-m", "consumer", "verify", str(directory), str(url), f"file://{copy}"]
    verified = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600, env=environ)
    assert verified.returncode == 0, verified.stdout[-3000:] + verified.stderr[-3000:]
    assert "\ncomplete: " in verified.stdout, verified.stdout[-3000:]
    status, unfinished = s3.request("GET", f"/{url.bucket}", {"uploads": ""})
    assert status == 200
    lines = [
        orjson.loads(line) for line in logs.read_bytes().splitlines() if line.startswith(b"{") and line.endswith(b"}")
    ]
    refused = [
        line for line in lines if line["event"] in ("ship_refused", "digest_held", "object_missing", "digests_failed")
    ]
    assert refused == []
    shipped = sum(line["event"] == "archive_shipped" for line in lines)
    return Result(
        maker.made, maker.rewritten, kills, shipped, unfinished.count(b"<Upload>"), len(expected), time.monotonic() - began
    )  # fmt: skip


def kill_once(command: list[str], environ: dict[str, str], logs: Path, after_s: float) -> None:
    """Start `deedbox ship`, and kill it some time after its first line."""
    begin = logs.stat().st_size if logs.exists() else 0
    with logs.open("ab") as out:
        out.write(b"\n")  # the line that the last kill cut
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environ)
    try:
        until = time.monotonic() + 60
        while logs.stat().st_size <= begin + 1 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(after_s)  # the random point
        assert process.poll() is None, logs.read_text()[-3000:]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def expected_objects(directory: Path) -> dict[str, str]:
    """What each destination must hold: archives, their side files, digests."""
    side_files = [*directory.rglob("*.deleted")]
    return local(directory) | local(directory, *side_files, *directory.rglob("*.digest"))


def test_a_shipper_that_is_killed_again_and_again(tmp_path: Path, seaweedfs: S3, bucket: ObjectUrl) -> None:
    result = kill_again_and_again(seaweedfs, bucket, tmp_path / "archive", KILLS, SEED)
    assert result.archives > 0


def main() -> None:
    """Run it for as many kills as the command line says."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "weed").mkdir()
        server, s3 = new_seaweedfs(root / "weed")
        with server:
            s3.make_bucket("bucket")
            configure(s3.settings())
            print(kill_again_and_again(s3, ObjectUrl("s3", "bucket", "prefix"), root / "archive", kills, SEED))


if __name__ == "__main__":
    main()
