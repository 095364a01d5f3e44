"""Run a contestant on a filled queue, on given cores, and measure its rate and its CPU time."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from consumer.demo.node import Node
from tests.bench.load import declare, fill
from tests.support import archives
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

PREFETCH, ACK_EVERY = 4000, 1000
BYTES_A_RUN = 60e6  # how much a queue is filled with, at most


def print_line(text: str = "") -> None:
    """Print at once: a run takes minutes."""
    print(text, flush=True)


class Result(NamedTuple):
    """Messages a second, and CPU microseconds a message."""

    rate: float
    cpu_us: float
    bytes: int = 0


@contextmanager
def cores(*numbers: int) -> Iterator[None]:
    """Processes that are started inside the block run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(numbers) & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def drained(node: Node, queue_type: str, size: int, messages: int, run: Callable[[str], Result]) -> Result:
    """Fill a queue and let a contestant drain it."""
    queue = f"bench-{uuid.uuid4().hex[:8]}"
    publisher = WirePublisher(node.url)
    declare(publisher, queue, queue_type)
    fill(publisher, queue, size, messages)
    result = run(queue)
    publisher.delete(queue)
    publisher.close()
    return result


def build_drain(directory: Path) -> Path:
    """Compile the C program."""
    program = directory / "drain"
    source = Path(__file__).with_name("drain.c")
    subprocess.run(["gcc", "-O2", "-o", program, source, "-lrabbitmq"], check=True)
    return program


def run_c(program: Path, port: int, queue: str, messages: int) -> Result:
    """The limit."""
    command = [program, str(port), queue, str(messages), str(PREFETCH), str(ACK_EVERY)]
    seconds, used, _ = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return Result(messages / float(seconds), float(used) / messages * 1e6)


def run_peer(name: str, url: str, queue: str, messages: int) -> Result:
    """One of the others."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "tests.bench.peers", name, url, queue, str(messages), directory]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, used = done.stdout.split()[-2:]
    return Result(messages / float(seconds), float(used) / messages * 1e6)


def run_deedbox(url: str, queue: str, queue_type: str, messages: int) -> Result:
    """From the log line that it consumes to the last write of the archive, which is durable before it is acknowledged."""
    directory = Path(tempfile.mkdtemp(prefix="deedbox-bench-"))
    arguments = (
        "--url",
        url,
        "--queue",
        queue,
        "--set",
        f"broker.queue_type={queue_type}",
        "--set",
        "roll.bytes=0",
        "--instance",
        "bench",
    )
    try:
        with Deedbox(directory / "archive", *arguments) as deedbox:
            consuming = deedbox.wait_for("consuming")
            assert deedbox.process is not None
            pid = deedbox.process.pid
            used = cpu_s(pid)
            path = directory / "archive" / "bench-00000001.kvp.zst.open"
            deedbox.wait_until(lambda: path.exists(), "an open archive")
            size = _wait_until_quiet(deedbox, path, messages)
            used = cpu_s(pid) - used
            seconds = path.stat().st_mtime - datetime.fromisoformat(str(consuming["time"])).timestamp()
            deedbox.stop()
        return Result(messages / seconds, used / messages * 1e6, size)
    finally:
        shutil.rmtree(directory)


def _wait_until_quiet(deedbox: Deedbox, path: Path, messages: int) -> int:
    """Until all are there; counting them reads headers only, and only when the file has stopped growing."""
    size = -1
    while size != path.stat().st_size or archives.count(path.parent) < messages:
        size = path.stat().st_size
        time.sleep(0.2)
    return size


@contextmanager
def c_until(node: Node, program: Path, queue: str, _queue_type: str, messages: int) -> Iterator[Callable[[], float]]:
    """The C program waits on a queue. Yields a function that waits for its end and returns the time of it."""
    command = [program, str(node.port), queue, str(messages), str(PREFETCH), str(ACK_EVERY)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    time.sleep(0.3)  # until it consumes; both contestants are given it

    def wait() -> float:
        process.wait()
        return time.time()

    yield wait


@contextmanager
def deedbox_until(
    node: Node, _program: Path, queue: str, queue_type: str, messages: int
) -> Iterator[Callable[[], float]]:
    """Deedbox waits on a queue; its end is the last write of the archive."""
    directory = Path(tempfile.mkdtemp(prefix="deedbox-bench-"))
    arguments = (
        "--url",
        node.url,
        "--queue",
        queue,
        "--set",
        f"broker.queue_type={queue_type}",
        "--set",
        "roll.bytes=0",
        "--instance",
        "bench",
    )
    try:
        with Deedbox(directory / "archive", *arguments) as deedbox:
            deedbox.wait_for("consuming")
            path = directory / "archive" / "bench-00000001.kvp.zst.open"

            def wait() -> float:
                deedbox.wait_until(path.exists, "an open archive")
                _wait_until_quiet(deedbox, path, messages)
                return path.stat().st_mtime

            yield wait
            deedbox.stop()
    finally:
        shutil.rmtree(directory)
