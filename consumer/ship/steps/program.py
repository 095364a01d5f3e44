"""Run the program of a run step, with a time limit, and keep the end of its output.

Invariants: a program that prints without end uses OUTPUT_BYTES_MAX of memory; after the time limit, or when the service stops, the
program and the programs that it started in its process group are killed. A program that it left running in the background does not
delay the step.
"""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from consumer.errors import DeedboxError

OUTPUT_BYTES_MAX = 2000
LOOK_S = 0.1  # between two looks at the time limit and at `stopped`


def run_program(
    command: Sequence[str], environ: Mapping[str, str], timeout_s: float, stopped: threading.Event | None = None
) -> None:
    """Run a program to its end. Raises DeedboxError if it cannot start, fails, or needs more than `timeout_s` seconds.

    `stopped`: when it is set, the program is killed.
    """
    stopped = stopped or threading.Event()
    try:
        process = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DeedboxError(f"{command[0]}: {reason}", "check that the program exists and can be run") from error
    try:
        output, why = _attend(process, time.monotonic() + timeout_s, stopped)
    finally:
        _kill(process)
    if why or process.returncode:
        reason = why and f"{why}{timeout_s:g} s" if why == _LATE else why or f"exit status {process.returncode}"
        raise DeedboxError(f"{command[0]}: {reason}{_shown(output)}")


_LATE = "did not end within "


def _attend(process: "subprocess.Popen[bytes]", deadline: float, stopped: threading.Event) -> tuple[bytes, str]:
    """Read the output until the program ends. The end of the output, and why the program must be killed."""
    assert process.stdout is not None, "a pipe was asked for"
    output = b""
    os.set_blocking(process.stdout.fileno(), False)
    with process.stdout, selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            output = _read(process.stdout.fileno(), output, selector)
            if ended:
                return output, ""
            if time.monotonic() > deadline:
                return output, _LATE
            if stopped.is_set():
                return output, "was ended, because the service stops"
            if selector.get_map():
                selector.select(LOOK_S)
            else:  # the program has closed its output and runs on
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_S)


def _read(fd: int, output: bytes, selector: selectors.BaseSelector) -> bytes:
    """What can be read now, with the end of the earlier output. At most one buffer, so that the time limit is looked at."""
    if not selector.get_map():
        return output
    try:
        piece = os.read(fd, 1 << 16)
    except BlockingIOError:
        return output
    if not piece:
        selector.unregister(fd)
    return (output + piece)[-OUTPUT_BYTES_MAX:]


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the program if it runs, with its process group."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _shown(output: bytes) -> str:
    text = " ".join(output.decode("utf-8", "replace").split())
    return f": {text}" if text else ""
