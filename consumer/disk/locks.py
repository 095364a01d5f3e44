"""The lock that says whether the owner of an archive lives: flock(2), exclusive, held for as long as the file is open.

Invariants: nothing else in Deedbox calls flock; a process that only asks makes no other process fail. flock can be asked only by taking
a shared lock for a moment, so `try_lock` tells a shared lock from that of an owner, and waits for it.
"""

import fcntl
import threading
import time

SHARED_S_MAX = 2.0
SHARED_RETRY_S = 0.005


def lock(fd: int) -> None:
    """Take the lock of a new file; a process that asks may have it for a moment. Raises OSError."""
    fcntl.flock(fd, fcntl.LOCK_EX)


def try_lock(fd: int) -> bool:
    """Take the lock if no other process has it to itself, and say whether it was taken.

    A shared lock is waited for, SHARED_S_MAX at most.
    """
    deadline = time.monotonic() + SHARED_S_MAX
    pause = threading.Event()
    while not _attempt(fd, fcntl.LOCK_EX):
        if is_locked(fd) or time.monotonic() > deadline:
            return False
        pause.wait(SHARED_RETRY_S)
    return True


def is_locked(fd: int) -> bool:
    """Whether another process has the lock to itself: then it may not have written its last bytes yet."""
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
