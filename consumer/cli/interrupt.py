"""A signal ends a command also while it waits for an object storage.

Python handles a signal between two of its instructions, and a request to a storage is one instruction, which may take minutes. So the
signal is written to a pipe as well, as it arrives; a thread reads it, and ends the process if the command has not ended soon after it.
"""

import os
import signal
from threading import Event, Thread

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 2.0  # for a command that removes its unfinished files


def end_soon_after_signals() -> None:
    """From now on, SIGINT, SIGTERM and SIGHUP end the process after GRACE_S at the latest. Call it in the main thread, and not with asyncio."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    Thread(target=_end, args=(read,), name="deedbox-signals", daemon=True).start()


def _end(read: int) -> None:
    while (number := os.read(read, 1)[0]) not in ENDING or signal.getsignal(number) is signal.SIG_IGN:
        pass
    Event().wait(GRACE_S)
    os._exit(128 + number)
