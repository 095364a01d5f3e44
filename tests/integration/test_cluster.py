"""Commands on a real Dask cluster: the same bytes as on this machine, also if a worker is killed."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from distributed import Client

from consumer.archive import naming
from consumer.archive.listing import find_archives
from consumer.errors import Exit
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.support.archive_logs import archive_log, some
from tests.support.archives import batches
from tests.support.clusters import ROOT, Cluster, cluster
from tests.support.command_line import deedbox
from tests.support.s3 import S3


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
            two.kill(0)
            rest, err = search.communicate(timeout=120)
    assert (search.returncode, err) == (Exit.OK, b"")
    assert (first + rest).decode() == expected
    assert expected.count("\n") == 30_000


def test_archives_in_object_storage_are_read_by_processes_and_a_cluster(
    directory: Path, bucket: ObjectUrl, seaweedfs: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker needs the keys of the storage in its own environment: one that lacks them is named."""
    sealed = [path for path in find_archives([directory]) if naming.parse_sealed(path)]
    for path in sealed:
        url = bucket / "archive" / str(path.relative_to(directory))
        store_of(url).put(url, path.read_bytes(), {})
    for name, value in seaweedfs.environ().items():
        monkeypatch.setenv(name, value)
    with cluster(0) as keyed:
        keyed.add(2, seaweedfs.environ())
        for command in (["stats", "--by", "serial"], ["search"]):
            options = (["--workers", 0], ["--workers", 2], ["--cluster", keyed.address])
            answers = [deedbox(*command, bucket / "archive", *option) for option in options]
            expected = deedbox(*command, *sealed).stdout
            assert {(done.returncode, done.stdout) for done in answers} == {(Exit.DAMAGED, expected)}
            assert len({done.stderr for done in answers}) == 1
        keyed.kill(0)
        keyed.kill(1)
        keyed.add(1, seaweedfs.environ() | {"AWS_SECRET_ACCESS_KEY": "other"})
        done = deedbox("stats", bucket / "archive", "--cluster", keyed.address)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (Exit.CLUSTER, "", 1), done.stderr
    assert f"cannot read {bucket}/archive" in done.stderr
    assert "give every worker the same AWS_* variables" in done.stderr


def test_the_commands_of_the_section_on_clusters_run(tmp_path: Path) -> None:
    """As on the page, with the address of this machine and a port of its own."""
    archive_log(tmp_path / "DIR").append(some(0, 3))
    section = (ROOT / "deploy" / "OPERATIONS.md").read_text().partition("## Past one machine")[2]
    _, scheduler, worker, stats = section.partition("```sh\n")[2].partition("```")[0].splitlines()
    tools = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    start = partial(subprocess.Popen, cwd=tmp_path, env=tools, stderr=subprocess.PIPE, text=True)

    def words(line: str, address: str = "") -> list[str]:
        line = line.replace("tcp://HOST:8786", address).replace("HOST", "127.0.0.1 0")
        return shlex.split(line.replace("deploy/", f"{ROOT}/deploy/"))

    with ExitStack() as stack:
        started = start(words(scheduler))
        stack.callback(stop, started)
        assert started.stderr is not None
        address = next(found[0] for line in started.stderr if (found := re.search(r"tcp://127.0.0.1:\d+", line)))
        stack.callback(stop, start([*words(worker, address), "1"]))
        with Client(address, timeout=30, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=60)
        done = subprocess.run(
            words(stats, address), check=False, cwd=tmp_path, env=tools, capture_output=True, text=True
        )
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert done.stdout.endswith("3 events in 3 groups, 1 archive\n")


def stop(started: "subprocess.Popen[str]") -> None:
    """End a part of a cluster. A worker is ended by its nanny."""
    started.terminate()
    started.communicate(timeout=60)
