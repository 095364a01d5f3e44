"""The lock that shows whether a process is writing an archive: flock(2), exclusive, held while the file is open.

Invariants: no other module of Deedbox calls flock; a process that only checks a lock makes no other process fail. A lock can be checked only
by taking a shared lock for a moment. Therefore `try_lock` distinguishes a shared lock from an exclusive one, and waits for it.
"""

import fcntl
import threading
import time

SHARED_S_MAX = 2.0
SHARED_RETRY_S = 0.005


def lock(fd: int) -> None:
    """Lock a new file. Waits if a process that checks the lock has it for a moment. Raises OSError."""
    fcntl.flock(fd, fcntl.LOCK_EX)


def try_lock(fd: int) -> bool:
    """Lock the file, unless another process has an exclusive lock. Returns whether it is locked now.

    Waits for a shared lock, SHARED_S_MAX seconds at most.
    """
    deadline = time.monotonic() + SHARED_S_MAX
    pause = threading.Event()
    while not _attempt(fd, fcntl.LOCK_EX):
        if is_locked(fd) or time.monotonic() > deadline:
            return False
        pause.wait(SHARED_RETRY_S)
    return True


def is_locked(fd: int) -> bool:
    """Whether another process has an exclusive lock. It may then not have written its last bytes yet."""
    if not _attempt(fd, fcntl.LOCK_SH):
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def _attempt(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
