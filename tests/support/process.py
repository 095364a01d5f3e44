"""`deedbox run` and `deedbox watch` in processes of their own, followed by their logs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import orjson

WAIT_S_MAX = 60.0


class Deedbox:
    """A running service. `start` may be called again after `kill` or `stop`; the log is appended to."""

    def __init__(
        self, directory: Path, *arguments: str, log: Path | None = None, wrap: tuple[str, ...] = (), altered: str = ""
    ) -> None:
        self.directory = directory
        self.log = log or directory.parent / f"{directory.name}.log"
        self._command = [
            *wrap,
            sys.executable,
            "-m",
            *(("tests.support.altered", altered) if altered else ("consumer",)),
            "run",
            "--dir",
            str(directory),
            "--set",
            "service.log=json",
            "--set",
            "broker.declare=all",
            *arguments,
        ]
        self._environ: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Deedbox":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=os.environ | self._environ
            )
        return self

    def lines(self, event: str | None = None) -> list[dict[str, object]]:
        raw = self.log.read_bytes().split(b"\n")[:-1] if self.log.exists() else []
        found = [orjson.loads(line) for line in raw if line.startswith(b"{")]
        return [line for line in found if event in (None, line["event"])]

    def wait_for(self, event: str, count: int = 1) -> dict[str, object]:
        """The `count`th line of this kind since the beginning."""
        self.wait_until(lambda: len(self.lines(event)) >= count, f"{count} x {event}")
        return self.lines(event)[count - 1]

    def wait_until(self, met, what: str) -> None:
        deadline = time.monotonic() + WAIT_S_MAX
        while not met():
            ended = self.process is not None and self.process.poll() is not None
            if (ended and not met()) or time.monotonic() > deadline:
                raise AssertionError(f"never: {what}; ended: {ended}; the log ends:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.02)

    def memory(self, line: str) -> int:
        """Bytes, from a line of /proc/PID/status such as VmHWM."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{line}:")[2].split()[0]) * 1024

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(sign)
        return self.process.wait(WAIT_S_MAX)

    def __enter__(self) -> "Deedbox":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


def full_pipe() -> tuple[int, int]:
    """The read and the write end of a full pipe; writers to it wait."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 65536)
    except BlockingIOError:
        os.set_blocking(write, True)
    return read, write


class Watch(Deedbox):
    """`deedbox watch` as a process, with its state file next to its log."""

    def __init__(
        self, log: Path, *arguments: str, environ: Mapping[str, str] | None = None, state: Path | None = None
    ) -> None:
        super().__init__(log.parent, log=log)
        self.state = state or log.with_suffix(".state")
        self._environ = dict(environ or {})
        self._command = [
            sys.executable, "-m", "consumer", "watch", "--set", "service.log=json", "--state", str(self.state), *arguments
        ]  # fmt: skip
