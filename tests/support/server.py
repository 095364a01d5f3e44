"""A server process of the tests: started, ready, killed, started again on the same files and ports."""

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

READY_S_MAX = 60.0


class Server:
    """A process that is `ready` when the function of this name returns True. Its output is in `log`.

    `leftovers`: files outside of its directory, which are removed at the end.
    """

    def __init__(
        self, command: Sequence[str], log: Path, ready: Callable[[], bool], leftovers: Sequence[Path] = ()
    ) -> None:
        self.log = log
        self._leftovers = leftovers
        self._command, self._ready = list(command), ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S_MAX
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"{self._command[0]} is not ready:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        """Kill it as -9 does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
        for path in self._leftovers:
            path.unlink(missing_ok=True)
