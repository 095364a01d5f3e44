"""A Dask cluster for tests: a scheduler and workers, each a process, and calls that show where and how often they are made."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from distributed import Client

from consumer.query.grouping import parse_grouping

ROOT = Path(__file__).parents[2]
WAIT_S = 30.0


class Cluster:
    """`address`: of the scheduler; `workers`: the processes of the workers."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self._directory = directory
        found = directory / "scheduler.json"
        options = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(found))
        self.scheduler = self._start("scheduler", *options, **environment)
        until(lambda: found.exists() and found.read_bytes().endswith(b"}"))
        self.address: str = orjson.loads(found.read_bytes())["address"]
        self.workers: list[subprocess.Popen[bytes]] = []

    def _start(self, name: str, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *arguments, "--no-dashboard"]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._directory,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip

    def add(self, count: int = 1, environment: Mapping[str, str] | None = None) -> None:
        """Start workers with one thread each, and wait until the scheduler knows them."""
        options = ("--no-nanny", "--nthreads", "1", "--host", "127.0.0.1", "--memory-limit", "0")
        for _ in range(count):
            self.workers.append(self._start("worker", self.address, *options, **environment or {}))
        with Client(self.address, timeout=WAIT_S, set_as_default=False) as client:
            alive = sum(worker.poll() is None for worker in self.workers)
            until(lambda: len(client.scheduler_info()["workers"]) == alive)

    def kill(self, index: int) -> None:
        """Kill a worker, as the kernel does when memory runs out."""
        self.workers[index].kill()
        self.workers[index].wait()

    def close(self) -> None:
        for started in (*self.workers, self.scheduler):
            started.kill()
            started.wait()


@contextmanager
def cluster(workers: int = 2, **environment: str) -> Iterator[Cluster]:
    """A cluster of its own. `environment`: of the scheduler."""
    with TemporaryDirectory() as directory:
        found = Cluster(Path(directory), **environment)
        try:
            if workers:
                found.add(workers)
            yield found
        finally:
            found.close()


def until(holds: object) -> None:
    """Wait until a function returns something true."""
    end = time.monotonic() + WAIT_S
    while not holds():  # type: ignore[operator]  # a function
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def enter(path: Path, number: int) -> int:
    """A call that notes its beginning in the directory of `path`, and ends when the file `go` is there. Returns the number."""
    (path.parent / f"{number}.{os.getpid()}").touch()
    until((path.parent / "go").exists)
    return number


def enter_pair(pair: tuple[Path, int]) -> int:
    return enter(*pair)


def die(_: object) -> None:
    os.kill(os.getpid(), 9)


def here(_: object) -> str:
    """The directory and the process of the call."""
    return f"{Path.cwd()} {os.getpid()}"


def fail(what: object) -> None:
    raise ZeroDivisionError(what)


def time_out(_: object) -> None:
    raise TimeoutError("of the work itself")


def bucket_of(text: str) -> object:
    """Raises Fatal for a text that is no length of time."""
    return parse_grouping(None, text)


def die_once(pair: tuple[Path, int]) -> int:
    """The number of the pair. The first call kills its process, and leaves a file."""
    path, number = pair
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return number
    os.kill(os.getpid(), 9)
    return number


def note_and_die(directory: Path) -> None:
    """Leave a file with the name of the process, and kill it."""
    (directory / str(os.getpid())).touch()
    os.kill(os.getpid(), 9)


def loaded(name: str) -> bool:
    """Whether the process has loaded a module."""
    return name in sys.modules
