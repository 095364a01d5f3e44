"""Calls on a real Dask cluster: its workers are lost, have another version, or cannot see the files."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from consumer.archive.checking.check import Check
from consumer.archive.listing import find_archives
from consumer.errors import Exit, Fatal
from consumer.objects.url import ObjectUrl
from consumer.query import cluster as module
from consumer.query.cluster import connected, shared
from consumer.query.executors import ahead_of
from consumer.query.prefetch import scan
from tests.support.archive_logs import archive_log, some
from tests.support.clusters import Cluster, bucket_of, cluster, die, enter_pair, fail, here, time_out, until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    path.touch()
    return path


def test_results_are_in_order_and_from_the_workers(dask: Cluster) -> None:
    with connected(dask.address) as executor:
        assert list(scan(executor, str, range(100))) == list(map(str, range(100)))
        assert ahead_of(executor) == 12
        places = set(scan(executor, here, range(40)))
    assert {int(place.split()[1]) for place in places} <= {worker.pid for worker in dask.workers}


def begun(directory: Path) -> list[tuple[int, int]]:
    """The number and the process of each call that has begun."""
    pairs = (path.name.split(".") for path in directory.glob("*.*"))
    return [(int(number), int(process)) for number, process in pairs]


def test_a_killed_worker_and_then_a_killed_scheduler(tmp_path: Path) -> None:
    """Both workers are in a call, and as many calls wait at each, when one is killed: its calls are made again."""
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
        (directory / "archive").touch()
    with cluster(2) as two, connected(two.address) as executor:
        found: list[int] = []
        items = [(first / "archive", number) for number in range(12)]
        reader = threading.Thread(target=lambda: found.extend(scan(executor, enter_pair, items)))
        reader.start()
        until(lambda: len(begun(first)) == 2)
        two.kill(0)
        (first / "go").touch()
        reader.join(60)
        assert found == list(range(12))
        (lost,) = (number for number, process in begun(first) if process == two.workers[0].pid)
        assert (lost, two.workers[1].pid) in begun(first)

        killer = threading.Thread(target=lambda: (until(lambda: begun(second)), two.scheduler.kill()))
        killer.start()
        with pytest.raises(Fatal, match=r"the scheduler at tcp://127.0.0.1:\d+ was lost") as caught:
            list(scan(executor, enter_pair, [(second / "archive", number) for number in range(12)]))
        killer.join()
    assert caught.value.exit is Exit.CLUSTER


def test_an_error_of_the_work_itself_comes_back(dask: Cluster) -> None:
    with connected(dask.address) as executor:
        with pytest.raises(ZeroDivisionError):
            list(scan(executor, fail, ["x"]))
        with pytest.raises(TimeoutError, match="of the work itself"):
            list(scan(executor, time_out, ["x"]))
        with pytest.raises(Fatal, match=r"--bucket 'x'.*write a number") as caught:
            list(scan(executor, bucket_of, ["x"]))
    assert caught.value.exit is Exit.SETTINGS


def test_no_scheduler_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.5)
    with (
        pytest.raises(Fatal, match=r"no scheduler answers at tcp://127\.0\.0\.1:1") as caught,
        connected("tcp://127.0.0.1:1"),
    ):
        pass
    assert caught.value.exit is Exit.CLUSTER


@pytest.mark.parametrize("address", ["127.0.0.1:8786", "amqp://x:1", "tcp://x", "tcp://x:1/y", ""])
def test_another_text_is_no_address(address: str) -> None:
    with pytest.raises(Fatal, match="write tcp://HOST:PORT"), connected(address):
        pass


def elsewhere(directory: Path, name: str, version: str) -> dict[str, str]:
    """The environment of a worker that finds another version of a package first."""
    described = directory / f"{name}-{version}.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return {"PYTHONPATH": f"{directory}:{Path(__file__).parents[3]}"}


def bare(directory: Path) -> dict[str, str]:
    """The environment of a worker without Deedbox."""
    (directory / "sitecustomize.py").write_text(
        "import importlib.metadata as metadata\n"
        "real = metadata.version\n"
        "def version(name):\n"
        "    if name == 'deedbox':\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "metadata.version = version\n"
    )
    return {"PYTHONPATH": str(directory)}


def test_workers_with_another_version_or_without_deedbox_are_refused(tmp_path: Path) -> None:
    """Also if they come during a scan."""
    with cluster(1) as mixed:
        with connected(mixed.address) as executor:
            assert list(scan(executor, str, [1])) == ["1"]
            mixed.add(environment=elsewhere(tmp_path, "deedbox", "9.9.9"))
            mixed.kill(0)
            with pytest.raises(Fatal, match=r"on .* has Deedbox 9\.9\.9, and this is "):
                list(scan(executor, str, range(50)))
        with pytest.raises(Fatal, match=r"has Deedbox 9\.9\.9, and this is ") as caught, connected(mixed.address):
            pass
        assert caught.value.exit is Exit.CLUSTER
        mixed.kill(1)
        mixed.add(environment=bare(tmp_path))
        with pytest.raises(Fatal, match="does not have Deedbox"), connected(mixed.address):
            pass


def test_a_worker_that_cannot_see_a_path_is_named(dask: Cluster, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker looks for a relative path in its own directory: the file is here, and not there."""
    monkeypatch.chdir(file.parent)
    with connected(dask.address) as executor:
        assert list(scan(executor, str, [file])) == [str(file)]
        for named in (Path("archive"), Check(Path("archive")), [(1, [Path("archive")])]):
            with pytest.raises(
                Fatal, match=r"worker tcp://.* cannot read archive, which exists here; mount "
            ) as caught:
                list(scan(executor, str, [named]))
    assert caught.value.exit is Exit.CLUSTER


def test_a_file_that_is_gone_everywhere_is_looked_for_here(dask: Cluster, file: Path) -> None:
    """It may have been sealed or compacted since it was listed."""
    file.unlink()
    with connected(dask.address) as executor:
        (answer,) = scan(executor, here, [file])
    assert answer == here(None)


def test_a_call_that_kills_its_workers_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask gives up after a number of killed workers. Then there is none left: first during a scan, then at its start."""
    monkeypatch.setattr(module, "WORKERS_LOST_S", 0.5)
    with cluster(1, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as one:
        with connected(one.address) as executor:
            with pytest.raises(Fatal, match=r"worker tcp://.* and others were killed while they made the same call"):
                list(scan(executor, die, [1]))
            with pytest.raises(Fatal, match="all workers are lost") as caught:
                list(scan(executor, str, [1]))
        assert caught.value.exit is Exit.CLUSTER
        monkeypatch.setattr(module, "CONNECT_S", 1.0)
        with pytest.raises(Fatal, match="the scheduler has no workers"), connected(one.address):
            pass


def test_a_reader_that_stops_leaves_the_cluster_usable(dask: Cluster) -> None:
    with connected(dask.address) as executor:
        found = scan(executor, str, range(1000))
        assert next(found) == "0"
        found.close()
    with connected(dask.address) as executor:
        assert list(scan(executor, str, range(3))) == ["0", "1", "2"]


def test_dask_that_is_missing_is_named() -> None:
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from consumer.query.executors import workers\n"
        "with workers(0, cluster='tcp://127.0.0.1:1'): pass"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "--cluster needs Dask; pip install 'deedbox[cluster]'" in done.stderr


def test_an_open_archive_is_read_here(dask: Cluster, tmp_path: Path) -> None:
    """A worker on another machine does not see the lock of the process that writes it."""
    archive_log(tmp_path).append(some(0, 3))
    (path,) = find_archives([tmp_path])
    with connected(dask.address) as executor:
        assert list(scan(executor, here, [path, path])) == [here(None)] * 2


def test_the_paths_for_workers_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    url = ObjectUrl.parse("s3://bucket/key")
    assert shared([Path("x"), Path("/y"), url]) == [tmp_path / "x", Path("/y"), url]
