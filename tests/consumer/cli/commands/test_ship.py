"""Through the command line, to SeaweedFS and to a directory."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.support.command_line import deedbox
from tests.support.s3 import S3
from tests.support.shipping import holds, local, seal, sealed


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    seal(tmp_path / "archive", 3)
    return tmp_path / "archive"


def ship(s3: S3 | None, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consumer", "ship", *map(str, arguments)]
    environ = os.environ | (s3.environ() if s3 else {})
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environ)


def archives(url: ObjectUrl) -> dict[str, str]:
    return {name: digest for name, digest in holds(url).items() if name.endswith(".kvp.zst")}


def test_once_ships_everything_to_every_destination(seaweedfs: S3, bucket: ObjectUrl, directory: Path) -> None:
    copy = directory.parent / "copy"
    copy.mkdir()
    place = bucket / "a/b"
    out = ship(seaweedfs, directory, "--to", place, "--to", f"file://{copy}", "--once")
    assert (out.returncode, out.stderr) == (0, "")
    assert archives(place) == archives(ObjectUrl.of_directory(str(copy))) == local(directory)
    assert len(holds(place)) == 4  # and a digest
    assert sum(line.startswith("shipped: ") for line in out.stdout.splitlines()) == 8
    assert f"{place}: all shipped: 4 files shipped" in out.stdout
    again = ship(seaweedfs, directory, "--to", place, "--once")
    assert (again.returncode, again.stdout) == (0, f"{place}: all shipped: 0 files shipped, 0 bytes; 4 were there\n")


def test_what_was_not_shipped_is_named_with_exit_status_1(seaweedfs: S3, bucket: ObjectUrl, directory: Path) -> None:
    first = sealed(directory)[0].name
    store_of(bucket).put(bucket / f"20251121/{first}", b"other", {})
    out = ship(seaweedfs, directory, "--to", bucket, "--once", "--set", "ship.digest_s=0")
    assert out.returncode == 1
    assert f"not shipped: 20251121/{first} to {bucket}: " in out.stdout
    assert "an object of this name is there, and it is not this archive; it is not overwritten" in out.stdout
    assert f"{bucket}: NOT all shipped: 2 files shipped" in out.stdout
    assert store_of(bucket).get(bucket / f"20251121/{first}") == b"other"


def test_each_file_that_is_not_shipped_has_a_line_with_its_url_once(directory: Path) -> None:
    """The URL stood twice in a line, a next try was announced before the end, and a digest that waited had no line."""
    copy = directory.parent / "copy"
    (copy / "20251121").mkdir(parents=True)
    first = sealed(directory)[0].name
    (copy / "20251121" / first).mkdir()
    out = ship(None, directory, "--to", f"file://{copy}", "--once")
    assert out.returncode == 1
    *files, last = (line for line in out.stdout.splitlines() if not line.startswith("shipped: "))
    assert {line.count("file://") for line in [*files, last]} == {1}
    assert not [line for line in files if "next try" in line]
    assert {line.split(" to ")[0] for line in files} == {
        f"failed: 20251121/{first}", "not shipped: digests/one/00000001.digest",
    }  # fmt: skip
    assert last.startswith(f"file://{copy}: NOT all shipped: 2 files shipped, ")
    assert last.endswith("; 2 files not shipped")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "no directory is named"),
        (["DIR"], "no destination is named"),
        (["DIR/none", "--to", "s3://bucket"], "is not a directory"),
        (["DIR", "--to", "ftp://bucket"], "name a URL such as"),
        (["DIR", "--to", "file://DIR/copy"], "is in the archive directory"),
        (["DIR", "--to", "file:///", "--set", "ship.sign_key=none"], "none"),
    ],
)
def test_a_wrong_command_line_is_exit_status_2(directory: Path, arguments: list[str], reason: str) -> None:
    out = ship(None, *(argument.replace("DIR", str(directory)) for argument in arguments), "--once")
    assert (out.returncode, reason in out.stderr) == (2, True), out.stderr


def test_a_key_that_signs_digests(directory: Path) -> None:
    key, copy = directory.parent / "digests.key", directory.parent / "copy"
    copy.mkdir()
    made = ship(None, "--init-key", key)
    assert made.returncode == 0
    assert made.stdout.startswith("-----BEGIN PUBLIC KEY-----")
    assert ship(None, directory, "--to", f"file://{copy}", "--once", "--set", f"ship.sign_key={key}").returncode == 0
    (digest,) = copy.rglob("*.digest")
    signature = orjson.loads(digest.read_bytes().splitlines()[1])
    assert (
        made.stderr
        == f"deedbox: {key}: the key has the id {signature['key']}, which digests and `deedbox verify` show\n"
    )
    (directory.parent / "key.pub").write_text(made.stdout)
    for place in (directory, copy):
        checked = deedbox("verify", place, "--public-key", directory.parent / "key.pub")
        assert (checked.returncode, "(1 digest, signed)" in checked.stdout) == (0, True)


class Running:
    """`deedbox ship` without --once."""

    def __init__(self, s3: S3, directory: Path, url: ObjectUrl) -> None:
        self.log = directory.parent / "ship.log"
        command = [
            sys.executable,
            "-m",
            "consumer",
            "ship",
            str(directory),
            "--to",
            str(url),
            "--set",
            "service.log=json",
        ]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | s3.environ())

    def wait_for(self, event: str, count: int = 1) -> list[dict[str, object]]:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            lines = [orjson.loads(line) for line in self.log.read_bytes().splitlines() if line.endswith(b"}")]
            found = [line for line in lines if line["event"] == event]
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())


@pytest.fixture
def running(seaweedfs: S3, bucket: ObjectUrl, directory: Path) -> Iterator[Running]:
    made = Running(seaweedfs, directory, bucket)
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.wait()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_ships_what_is_sealed_until_a_signal(
    running: Running, directory: Path, bucket: ObjectUrl, sign: signal.Signals
) -> None:
    running.wait_for("archive_shipped", 4)
    seal(directory, 1)
    running.wait_for("archive_shipped", 5)
    running.process.send_signal(sign)
    assert running.process.wait(20) == 0
    assert archives(bucket) == local(directory)
    assert running.wait_for("shipping_stopped")[0]["shipped"] == 5
