"""The standard streams of the command line, with the redirections of a shell."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from codec.event import Event
from tests.support.archive_logs import archive_log, event, some

DEEDBOX = f"{sys.executable} -m consumer"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    one = archive_log(tmp_path)
    for first in (0, 1000):
        one.append(some(first, 1000))
        one.roll("stop")
    return tmp_path


def shell(command: str) -> tuple[int, str, str]:
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", ["cat", "verify", "search", "tail", "get id-1"])
def test_a_full_device_is_one_error_line_and_not_an_error_of_an_archive(directory: Path, command: str) -> None:
    expected = (1, "", "deedbox: standard output: No space left on device\n")
    assert shell(f"{DEEDBOX} {command} {directory} >/dev/full") == expected


@pytest.mark.parametrize("command", ["cat", "verify", "search", "--help", "--version", "config"])
def test_a_closed_standard_output_is_one_error_line(directory: Path, command: str) -> None:
    paths = directory if command in ("cat", "verify", "search") else ""
    expected = (1, "", "deedbox: standard output: Bad file descriptor\n")
    assert shell(f"{DEEDBOX} {command} {paths} >&-") == expected


@pytest.mark.parametrize(("command", "status"), [("cat /nowhere", 1), ("frob", 2)])
@pytest.mark.parametrize("stderr", ["&-", "/dev/full"])
def test_errors_that_cannot_be_written_do_not_go_to_the_output(command: str, status: int, stderr: str) -> None:
    assert shell(f"{DEEDBOX} {command} 2>{stderr}") == (status, "", "")


def test_no_archive_is_opened_as_standard_error(directory: Path) -> None:
    """The kernel assigns the lowest free descriptor: a closed standard error could become an archive."""
    code, out, _ = shell(f"{DEEDBOX} cat {directory} <&- 2>&-")
    assert (code, out.count("\n")) == (0, 2000)


def test_a_path_that_is_not_utf_8_is_shown(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    one = archive_log(path)
    one.append(some(0, 5))
    one.roll("stop")
    code, out, err = shell(f"{DEEDBOX} verify {tmp_path}")
    assert (code, err) == (0, "")
    assert "udcff" in out


@pytest.mark.parametrize(
    "command", ["ls", "verify", "repair --dry-run", "cat $'\\x1b]0;title\\a\\x1b[31m\\nsealed\\x9b'"]
)
def test_a_path_cannot_control_the_terminal(tmp_path: Path, command: str) -> None:
    """A directory of another user: its name set the title of the terminal, and began a new line of the report."""
    path = tmp_path / "\x1b]0;title\a\x1b[31m\nsealed\x9b"
    archive_log(path).append(some(0, 5))
    (opened,) = path.glob("*.open")
    opened.write_bytes(opened.read_bytes()[:-10])
    _, out, err = shell(f"{DEEDBOX} {command} {tmp_path}")
    shown = err if command.startswith("cat") else out + err
    assert r"\x1b]0;title\x07\x1b[31m\nsealed" in shown
    assert [line for line in shown.splitlines() if not line.isprintable()] == []


def test_json_lines_hold_a_path_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31m\n\x9b"
    archive_log(path).append(some(0, 5))
    for command in ("ls", "verify"):
        _, out, _ = shell(f"{DEEDBOX} {command} --format jsonl {tmp_path}")
        assert Path(orjson.loads(out)["path"]).parent == path


def test_an_idle_tail_ends_when_its_pipe_is_closed(directory: Path) -> None:
    began = time.monotonic()
    code, out, err = shell(f"set -o pipefail; timeout 30 {DEEDBOX} tail -f {directory} | head -n 1")
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert time.monotonic() - began < 20


def slow(serial: int) -> Event:
    """An event on which the expression `(a|aa)+$b` reaches the time limit of one second."""
    return event(serial)._replace(body=b"a" * 5000)


def children(process: int) -> list[int]:
    return list(map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()))


def kill_worker(search: subprocess.Popen[str]) -> None:
    """Kill the first worker of a command, which is a fork of it."""
    while not (found := children(search.pid)):
        assert search.poll() is None
        time.sleep(0.001)
    os.kill(found[0], signal.SIGKILL)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A search whose worker needs a second for its only event."""
    archive_log(tmp_path).append([slow(0)])
    command = [*DEEDBOX.split(), "search", "--workers", "1", "--match", "(a|aa)+$b", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as search:
        yield search


def test_the_part_of_a_killed_worker_is_done_again(started: subprocess.Popen[str]) -> None:
    kill_worker(started)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err.count("\n")) == (1, "", 1)
    assert "takes more than 1 s on event" in err


def test_workers_that_are_killed_again_and_again_are_one_error_line(started: subprocess.Popen[str]) -> None:
    kill_worker(started)
    while started.poll() is None:
        with suppress(OSError):  # it has ended in the meantime
            for server in children(started.pid):
                if b"forkserver" in Path(f"/proc/{server}/cmdline").read_bytes():
                    for worker in children(server):
                        os.kill(worker, signal.SIGKILL)
        time.sleep(0.001)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("deedbox: a worker process was killed")
