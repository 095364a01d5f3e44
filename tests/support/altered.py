"""`deedbox` with one part of it replaced, as a process: python -m tests.support.altered ALTERATION run …

For what a real disk or a real message does not do on demand. Everything else is the real thing.
"""

import sys
import time
from collections.abc import Callable

from consumer.archive.durable import Disk
from consumer.cli import main

SYNC_S = 1.0


def slow_sync() -> None:
    """Each sync takes a second."""
    sync = Disk.sync

    def slowly(self: Disk, fd: int) -> None:
        time.sleep(SYNC_S)
        sync(self, fd)

    Disk.sync = slowly  # type: ignore[method-assign]


ALTERATIONS: dict[str, Callable[[], None]] = {"slow_sync": slow_sync}

if __name__ == "__main__":
    ALTERATIONS[sys.argv.pop(1)]()
    main()
