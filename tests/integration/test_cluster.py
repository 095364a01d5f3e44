"""Commands on a real Dask cluster: the same bytes as on this machine, also if a worker is killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some
from tests.support.archives import batches
from tests.support.clusters import Cluster, cluster
from tests.support.command_line import deedbox


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Sealed archives of two instances, one of which is damaged, and open ones."""
    directory = tmp_path / "archive"
    for instance in ("one", "two"):
        log = archive_log(directory, instance=instance)
        for first in range(0, 60, 20):
            log.append(some(first, 20))
            if first < 40:
                log.roll("test")
    path = find_archives([directory])[0]
    (batch,) = batches(path)
    raw = bytearray(path.read_bytes())
    raw[batch.offset + batch.size - 3] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)
    return directory


@pytest.mark.parametrize(
    "command",
    [
        ["search", "--where", "serial>=3", "--order", "desc"],
        ["search", "--count"],
        ["verify"],
        ["verify", "--format", "jsonl"],
    ],
)
def test_a_command_prints_the_same_bytes_on_a_cluster(directory: Path, dask: Cluster, command: list[str]) -> None:
    here = deedbox(*command, directory, "--workers", 0)
    there = deedbox(*command, directory, "--cluster", dask.address)
    assert here.returncode == Exit.DAMAGED
    assert here.stdout.count("\n") >= 1
    assert (there.returncode, there.stdout, there.stderr) == (here.returncode, here.stdout, here.stderr)


def test_an_export_writes_the_same_file_on_a_cluster(directory: Path, dask: Cluster, tmp_path: Path) -> None:
    options = ("export", directory, "--format", "jsonl", "--out")
    here = deedbox(*options, tmp_path / "here")
    there = deedbox(*options, tmp_path / "there", "--cluster", dask.address)
    assert (here.returncode, here.stderr) == (there.returncode, there.stderr)
    assert (
        (tmp_path / "here" / "events.jsonl").read_bytes() == (tmp_path / "there" / "events.jsonl").read_bytes() != b""
    )


def test_a_worker_that_is_killed_during_a_search_changes_nothing(tmp_path: Path) -> None:
    """The search waits for the reader of its output when a worker is killed, with most of the archive still to be read."""
    log = archive_log(tmp_path)
    for first in range(0, 30_000, 1000):
        log.append(some(first, 1000))
    log.roll("test")
    expected = deedbox("search", tmp_path).stdout
    with cluster(2) as two:
        command = [sys.executable, "-m", "consumer", "search", str(tmp_path), "--cluster", two.address]
        with subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as search:
            assert search.stdout is not None
            first = search.stdout.read(1)
            two.workers[0].kill()
            rest, err = search.communicate(timeout=120)
    assert (search.returncode, err) == (Exit.OK, b"")
    assert (first + rest).decode() == expected
    assert expected.count("\n") == 30_000
