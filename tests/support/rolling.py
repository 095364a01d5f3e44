"""A writer in a process of its own that seals an archive after each event, each in a date folder of its own.

usage: python -m tests.support.rolling DIRECTORY ARCHIVES

It writes a line to standard output when an event is archived: the directory and the id. After this number of archives it continues in a new
directory, so that a listing stays short. It ends when its standard output is closed. It syncs nothing: a reader sees the names and
bytes at once, and the writer renames as often as it can.
"""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

from consumer.archive import naming
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.disk.durable import Disk
from tests.support.archive_logs import START_US, archive_log, event

DAY_US = 86_400_000_000


class Unsynced(Disk):
    """The real file system without its promises."""

    def sync(self, fd: int) -> None:
        """Promise nothing."""

    def sync_directory(self, path: Path) -> None:
        """Promise nothing."""


class Rolling:
    """The writer as a process."""

    def __init__(self, directory: Path, archives: int) -> None:
        self._directory = directory
        self._command = [sys.executable, "-m", "tests.support.rolling", str(directory), str(archives)]
        self._ids: dict[str, set[str]] = {}
        self._rest = b""

    def __enter__(self) -> "Rolling":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdout.close()
        self._process.wait()

    def archived(self) -> tuple[Path, set[str]]:
        """The newest directory, and the ids of its events. Waits for a new event."""
        while True:
            raw = os.read(self._process.stdout.fileno(), 1 << 16)
            assert raw, "the writer has ended"
            *lines, self._rest = (self._rest + raw).split(b"\n")
            for line in lines:
                newest, id = line.decode().split()
                self._ids.setdefault(newest, set()).add(id)
            if lines:
                return self._directory / newest, self._ids[newest]


def append(one: ArchiveLog, serial: int) -> None:
    """One event that arrived a day after the one before, and its line."""
    time_us = START_US + serial * DAY_US
    one.append([event(serial)._replace(time_us=time_us, arrived_us=time_us)])
    print(f"{one.settings.layout.directory.name} id-{serial}", flush=True)


def main() -> None:
    directory, archives = Path(sys.argv[1]), int(sys.argv[2])
    for number in count():
        place = directory / str(number)
        one = archive_log(place, Unsynced())
        assert one.disk.acquire(naming.lock_path(place, one.settings.instance)) is not None  # as a service does
        for serial in range(archives):
            append(one, serial)
            one.roll("test")


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.stderr.close()
