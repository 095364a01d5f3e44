"""Which executor is used, and that a killed process of this machine is replaced."""

import os
import signal
import subprocess
import sys
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from consumer.errors import Fatal
from consumer.query.cluster import ClusterExecutor
from consumer.query.executors import AHEAD, LOSSES_MAX, PAYS_BYTES, LocalProcesses, ahead_of, workers
from consumer.query.prefetch import scan
from tests.support.clusters import Cluster, die_once, here, note_and_die


def test_few_bytes_need_no_processes() -> None:
    with workers(PAYS_BYTES - 1) as executor:
        assert executor is None
    with workers(PAYS_BYTES, 0) as executor:
        assert executor is None
    assert ahead_of(None) == AHEAD


def test_the_wanted_number_of_processes() -> None:
    with workers(0, 3) as executor:
        assert isinstance(executor, LocalProcesses)
        processes = {place.split()[1] for place in scan(executor, here, range(30))}
        assert 1 <= len(processes) <= 3
        assert str(os.getpid()) not in processes


def test_many_processes_are_all_kept_busy() -> None:
    with LocalProcesses(20) as executor:
        assert ahead_of(executor) == 40


def test_a_cluster_is_an_executor(dask: Cluster) -> None:
    with workers(0, cluster=dask.address) as executor:
        assert isinstance(executor, ClusterExecutor)
        assert list(scan(executor, str, [1])) == ["1"]


@pytest.mark.parametrize(
    ("wanted", "cluster", "message"), [(-1, None, "--workers -1; give 0 or more"), (2, "tcp://x:1", "give either")]
)
def test_wrong_numbers_are_refused(wanted: int, cluster: str | None, message: str) -> None:
    with pytest.raises(Fatal, match=message), workers(0, wanted, cluster):
        pass


def test_the_call_of_a_killed_process_is_made_again(tmp_path: Path) -> None:
    """The processes of a pool all end when one is killed, and all its calls fail."""
    with LocalProcesses(2) as executor:
        items = [(tmp_path / "killed", number) for number in range(20)]
        assert list(scan(executor, die_once, items)) == list(range(20))
    assert (tmp_path / "killed").exists()


def test_a_call_that_kills_its_process_each_time_is_an_error(tmp_path: Path) -> None:
    with LocalProcesses(1) as executor, pytest.raises(BrokenExecutor):
        list(scan(executor, note_and_die, [tmp_path]))
    assert len(list(tmp_path.iterdir())) == 1 + LOSSES_MAX


def test_a_process_with_the_runtime_of_obstore_is_never_forked(tmp_path: Path) -> None:
    """Its threads do not exist in a fork, and the first request there would wait for ever."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from consumer.query.executors import workers\n"
        "from consumer.query.prefetch import scan\n"
        "from tests.support.clusters import loaded\n"
        "if __name__ == '__main__':\n"
        "    names = ['obstore', 'tests.support.archives']\n"
        "    import tests.support.archives\n"
        "    if len(sys.argv) > 1:\n"
        "        import obstore\n"
        "    with workers(0, 1) as executor:\n"
        "        print(list(scan(executor, loaded, names)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}

    def run(*more: str) -> str:
        command = [sys.executable, str(script), *more]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    assert run() == "[False, True]\n"  # a fork has what its parent has loaded
    assert run("obstore") == "[False, False]\n"


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_processes_end_with_the_command(tmp_path: Path, method: str) -> None:
    """Also if it is killed: idle processes waited for ever for the next call, and a reader of their output for its end."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from time import sleep\n"
        "from consumer.query.executors import LocalProcesses\n"
        "if __name__ == '__main__':\n"
        "    if sys.argv[1] == 'forkserver':\n"
        "        import obstore\n"
        "    executor = LocalProcesses(2)\n"
        "    for call in [executor.submit(abs, 1) for _ in range(4)]:\n"
        "        call.result()\n"
        "    print('ready', flush=True)\n"
        "    sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, str(script), method]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            process.kill()
            assert process.communicate(timeout=20)[0] == "", "the end of the output: no process has it open"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
