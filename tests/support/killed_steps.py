"""Steps on seal in processes that are killed with -9 at each access to the disk in turn. Run as `python -m tests.support.killed_steps DIRECTORY STEP…`.

`TARGET` in a step is a directory that no other process uses. After each kill, another process does the rest. Prints one line for each kill.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from consumer.disk.durable import Disk
from consumer.ship.steps.effects import Departure
from tests.support.rolling import Unsynced
from tests.support.steps import sealed, worker

METHODS = (
    "create", "append", "sync", "sync_path", "sync_directory", "make_read_only", "make_directory", "rename", "link", "replace",
    "replace_with", "remove", "acquire",
)  # fmt: skip


class Quick(Unsynced):
    """A disk without syncs: the kernel survives a kill."""

    def fsync_directory(self, path: Path) -> None:
        """Promise nothing."""


def deadly(at: int) -> Disk:
    """A disk that kills its process before its access number `at`."""
    disk, count = Quick(), [0]

    def wrapped(method: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            count[0] += 1
            if count[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments, **named)

        return call

    for name in METHODS:
        setattr(disk, name, wrapped(getattr(disk, name)))
    return disk


def run(directory: Path, disk: Disk, steps: list[str]) -> None:
    """One process: all that can be done now. Departures are noted in a file, as the chain of digests does."""

    def retire(departures: list[Departure]) -> None:
        with (directory / "retired").open("a") as file:
            file.writelines(f"{one.archive} {one.reason}\n" for one in departures)

    worker(directory, *steps, disk=disk, retire=retire).look()


def main() -> None:
    top, *steps = Path(sys.argv[1]), *sys.argv[2:]
    original = top / "original"
    sealed(original, 2)
    (original / "one-00000001.deleted").write_bytes(b"a line\n")
    at = 0
    while True:
        at += 1
        directory = top / str(at)
        shutil.copytree(original, directory)
        own = [step.replace("TARGET", str(directory) + ".target") for step in steps]
        pid = os.fork()
        if pid == 0:
            run(directory, deadly(at), own)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        run(directory, Quick(), own)
        print(at, flush=True)
        if not killed:
            return


if __name__ == "__main__":
    main()
