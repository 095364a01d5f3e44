"""A disk that fills up under a running service: paused, probing, resumed, nothing lost."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.archive.checking.verify import verify
from tests.support import archives
from tests.support.archive_logs import archive_log, event
from tests.support.mounts import small_ext4
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

MESSAGES = 3000
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a real file system takes root")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_ext4(tmp_path) as mount:
        yield mount


def fill(disk: Path) -> Path:
    """Leave nothing free."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return path


@NEEDS_ROOT
@pytest.mark.parametrize("reserve", ["0", "1000000"], ids=["full", "low"])
def test_a_disk_that_fills_up_pauses_and_loses_nothing(
    url: str, name: str, publisher: WirePublisher, disk: Path, reserve: str
) -> None:
    """In the morning the log has paused, resumed, nothing lost."""
    arguments = (
        "--url",
        url,
        "--queue",
        name,
        "--exchange",
        name,
        "--instance",
        "one",
        "--set",
        f"archive.free_bytes_min={reserve}",
    )
    with Deedbox(disk / "archive", *arguments, log=disk.parent / "log") as deedbox:
        deedbox.wait_for("consuming")
        for n in range(MESSAGES):
            publisher.publish(name.encode(), b"a", b"\x00\x80\x05%05d" % n, os.urandom(2000) + b"%d" % n)
            if n == MESSAGES // 3:
                publisher.wait_for_confirms()
                deedbox.wait_until(lambda: archives.count(disk / "archive") > 100, "some archived")
                filler = fill(disk)
        publisher.wait_for_confirms()
        paused = deedbox.wait_for("paused")
        deedbox.wait_for("still_paused")
        assert paused["reason"] == ("disk_full" if reserve == "0" else "disk_low")
        assert deedbox.process is not None
        assert deedbox.process.poll() is None
        filler.unlink()
        deedbox.wait_for("resumed")
        deedbox.wait_until(
            lambda: len({event.id for event in archives.events(disk / "archive")}) == MESSAGES, "all archived"
        )
        assert deedbox.stop() == 0
    events = archives.unmarked(disk / "archive")
    assert sorted(event.id for event in events) == [f"{n:05d}" for n in range(MESSAGES)]
    assert [fault for verdict in verify([disk / "archive"]) for fault in verdict.faults] == []


@NEEDS_ROOT
def test_a_full_disk_is_no_reason_not_to_start_and_recovery_waits(
    url: str, name: str, publisher: WirePublisher, disk: Path
) -> None:
    directory = disk / "archive"
    arguments = (
        "--url",
        url,
        "--queue",
        name,
        "--exchange",
        name,
        "--instance",
        "one",
        "--set",
        "archive.free_bytes_min=0",
        "--set",
        "service.stats_s=0.2",
    )
    with Deedbox(directory, *arguments, log=disk.parent / "log") as deedbox:
        deedbox.wait_for("consuming")
        publisher.publish(name.encode(), b"a", b"\0\0", b"first")
        publisher.wait_for_confirms()
        # Else it may come again, and while its archive waits for recovery it is not known as a duplicate.
        deedbox.wait_until(lambda: any(line["acked"] for line in deedbox.lines("stats")), "acknowledged")
        deedbox.kill()
        with next(directory.glob("*.open")).open("ab") as torn:
            torn.write(b"torn")
        filler = fill(disk)
        deedbox.start()
        deedbox.wait_for("started", 2)
        publisher.publish(name.encode(), b"a", b"\0\0", b"second")
        publisher.wait_for_confirms()
        deedbox.wait_for("paused")
        assert [event.body for event in archives.events(directory)] == [b"first"]
        filler.unlink()
        deedbox.wait_for("resumed")
        deedbox.wait_until(lambda: len(archives.unmarked(directory)) == 2, "archived")
        assert deedbox.stop() == 0
    assert sorted(event.body for event in archives.unmarked(directory)) == [b"first", b"second"]
    assert [fault for verdict in verify([directory]) for fault in verdict.faults] == []
    assert not list(directory.glob("*.open"))


def deedbox(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "consumer", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@NEEDS_ROOT
def test_an_import_on_a_full_disk_reports_the_number_of_archived_events(disk: Path, tmp_path: Path) -> None:
    """It promised to resume by itself, and had ended."""
    lines = [b'{"n":%d,"text":"%b"}' % (n, os.urandom(1000).hex().encode()) for n in range(20_000)]
    (tmp_path / "lines").write_bytes(b"\n".join(lines))
    done = deedbox("import", tmp_path / "lines", "--format", "jsonl", "--dir", disk / "archive")
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "resumes" not in done.stderr
    (archived,) = re.findall(r"(\d+) events of .*lines are archived", done.stderr)
    assert 0 < int(archived) == len(archives.events(disk / "archive"))


@NEEDS_ROOT
@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_an_export_to_a_disk_that_is_full_names_the_file_and_leaves_none(
    disk: Path, tmp_path: Path, format: str
) -> None:
    """`a file: No space left on device`; and the threads of Parquet's writer could abort the process."""
    one = archive_log(tmp_path / "archive")
    for serial in range(30):
        one.append([event(serial)._replace(body=os.urandom(1 << 20))])
    one.roll("test")
    done = deedbox("export", tmp_path / "archive", "--format", format, "--out", disk / "out")
    assert (done.returncode, f"{disk}/out" in done.stderr, "No space left" in done.stderr) == (1, True, True)
    assert len(done.stderr.splitlines()) == 1
    assert [path for path in (disk / "out").rglob("*") if path.is_file()] == []
