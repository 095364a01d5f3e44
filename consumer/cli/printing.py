"""Standard input, output and error of the command line.

Invariants: the descriptors 0 to 2 are open before anything else is opened, so no archive can become standard error; an error
of standard output is `OutputLost`, which no code that handles the errors of archives can take for one of theirs.
"""

import errno
import io
import os
import select
import sys
from contextlib import suppress


class OutputLost(Exception):
    """Standard output takes no more. `closed_early`: its reader has seen enough, as `head` does."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output: {error.strerror or error}")
        self.closed_early = error.errno == errno.EPIPE


class _Output(io.FileIO):
    """Standard output. Every error of it is OutputLost."""

    def write(self, raw: "memoryview | bytes", /) -> int:  # type: ignore[override]  # the buffer above hands on only these two
        try:
            return super().write(raw)
        except OSError as error:
            raise OutputLost(error) from error


def open_streams() -> None:
    """Make the standard streams usable, whatever the caller has closed. Called before any file is opened.

    What is written to a closed standard output fails with EBADF, as for any program; a closed standard error takes
    everything and keeps nothing.
    """
    for fd, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        _ensure_open(fd, flags)
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115 -- for the life of the process
    raw = _Output(1, "w", closefd=False)
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    # A path may hold any bytes: it is shown with backslashes rather than not at all.
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=raw.isatty())


def _ensure_open(fd: int, flags: int) -> None:
    try:
        os.fstat(fd)
    except OSError:
        opened = os.open(os.devnull, flags)
        if opened != fd:
            os.dup2(opened, fd)
            os.close(opened)


def discard_output() -> None:
    """What is still buffered goes nowhere, so that the interpreter does not fail on it at its end."""
    _discard(1)
    with suppress(OutputLost):
        sys.stdout.flush()


def discard_complaints() -> None:
    """The same for standard error: at its end the interpreter would replace the exit status by 120."""
    _discard(2)


def _discard(fd: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)


def reader_gone() -> bool:
    """Whether standard output is a pipe that is not read any more. A command that waits for input asks, as `tail -f` does."""
    poll = select.poll()
    poll.register(1, 0)  # POLLERR and POLLHUP are always reported (poll(2))
    return any(events & select.POLLERR for _, events in poll.poll(0))
