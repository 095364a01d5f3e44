"""Standard input, output and error of the command line.

Invariants: the descriptors 0 to 2 are open before anything else is opened, so that no archive becomes standard error. An error
of standard output is `OutputLost`; no code reports it as an error of an archive.
"""

import errno
import io
import os
import select
import sys
from contextlib import suppress

from consumer.visible import escaped


class OutputLost(Exception):
    """Standard output cannot be written. `closed_early`: its reader has ended, as `head` does."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output: {error.strerror or error}")
        self.closed_early = error.errno == errno.EPIPE


class _Output(io.FileIO):
    """Standard output. Every error of it is OutputLost."""

    def write(self, raw: "memoryview | bytes", /) -> int:  # type: ignore[override]  # the buffer above passes only these two
        try:
            return super().write(raw)
        except OSError as error:
            raise OutputLost(error) from error


def print_line(text: str) -> None:
    """Print a line for people on standard output. A path in it cannot control the terminal. Raises OutputLost."""
    print(escaped(text))


def print_unchanged(text: str) -> None:
    """Print lines for programs, such as JSON, on standard output, as they are. Raises OutputLost."""
    print(text)


def report_error(error: object) -> None:
    """Print a line on standard error. A path in it cannot control the terminal. If that fails, only the exit status reports the error."""
    try:
        print(f"deedbox: {escaped(error)}", file=sys.stderr, flush=True)
    except OSError:
        discard_errors()


def open_streams() -> None:
    """Make the standard streams usable, also if the caller has closed them. Called before any file is opened.

    Writing to a closed standard output fails with EBADF, as in any program. A closed standard error discards everything.
    """
    for fd, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        _ensure_open(fd, flags)
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115 -- open until the process ends
    raw = _Output(1, "w", closefd=False)
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    # A path may hold any bytes. Bytes that are not text are shown with backslashes.
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
    """Discard buffered output, so that the interpreter does not fail when it ends."""
    _discard(1)
    with suppress(OutputLost):
        sys.stdout.flush()


def discard_errors() -> None:
    """Discard standard error: otherwise the interpreter would end with status 120."""
    _discard(2)


def _discard(fd: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)


def reader_gone() -> bool:
    """Whether standard output is a pipe without a reader. A command that waits for input checks this, as `tail -f` does."""
    poll = select.poll()
    poll.register(1, 0)  # POLLERR and POLLHUP are always reported (poll(2))
    return any(events & select.POLLERR for _, events in poll.poll(0))
