"""Repack sealed archives while the service runs, one at a time, in a process of lowest priority.

It is a process and not a thread, because encoding thousands of events would hold the interpreter's lock while deliveries wait.
Invariant: nothing is lost if the process fails or is killed; an archive that was missed is repacked in a later run.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from codec.counted import counted
from consumer import log
from consumer.archive import log_events
from consumer.archive.listing import find_archives
from consumer.archive.naming import parse_sealed
from consumer.archive.outcome import outcome
from consumer.archive.rewriting.repack import RepackOutcome, pays, repack
from consumer.disk.durable import Disk
from consumer.errors import Exit

DECIDE_S = 600.0  # many archives of earlier runs may be repacked first: others need not wait for that


class Repacker:
    """The queue of archives to repack. `sealed` and `is_undecided` may be called from any thread.

    `on_decided` is called, in the event loop, for each archive that the repacker does not change any more in this run.
    """

    def __init__(self, directory: Path, on_decided: Callable[[Path], None] = lambda _: None) -> None:
        self._directory, self._on_decided = directory, on_decided
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[Path] = asyncio.Queue()
        self._undecided: dict[Path, float] = {}  # archives that were sealed in this run, and when

    def is_undecided(self, path: Path) -> bool:
        """Whether an archive was sealed in this run, less than DECIDE_S seconds ago, and may still be repacked."""
        sealed_at = self._undecided.get(path)
        return sealed_at is not None and time.monotonic() - sealed_at < DECIDE_S

    def sealed(self, path: Path) -> None:
        """Add an archive that was sealed."""
        self._undecided[path] = time.monotonic()
        self._loop.call_soon_threadsafe(self._waiting.put_nowait, path)

    async def run(self) -> None:
        """Repack the archives of earlier runs, then each archive that is sealed, until cancelled."""
        for path in await asyncio.to_thread(_sealed_below, self._directory):
            await self._decide(path)
        while True:
            await self._decide(await self._waiting.get())

    async def _decide(self, path: Path) -> None:
        await self._repack(path)
        self._undecided.pop(path, None)
        self._on_decided(path)

    async def _repack(self, path: Path) -> None:
        try:
            if not await asyncio.to_thread(pays, path):
                return
            before = path.stat().st_size
            status, reason = await _run(path)
            after = path.stat().st_size
        except OSError as error:
            log.emit(log_events.REPACK_FAILED, path=str(path), reason=error.strerror or str(error))
            return
        if status or after == before:
            log.emit(log_events.REPACK_FAILED, path=str(path), reason=reason or f"status {status}")
        else:
            log.emit(log_events.ARCHIVE_REPACKED, path=str(path), bytes=after, saved=before - after)


def _sealed_below(directory: Path) -> list[Path]:
    return [path for path in find_archives([directory]) if parse_sealed(path) and not path.is_symlink()]


async def _run(path: Path) -> tuple[int, str]:
    """Exit status and output of the command."""
    command = [sys.executable, "-m", "consumer", "compact", "--repack", os.fspath(path)]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # so that Ctrl-C on a terminal reaches the service only
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return process.returncode or 0, output.decode("utf-8", "replace").strip()[-500:]


def show_repacking(paths: Sequence[Path], print_line: Callable[[str], None]) -> Exit:
    """Repack the archives below the paths, at the lowest priority so that ingest is not slowed. DAMAGED if one could not be repacked."""
    os.nice(19)
    status, count = Exit.OK, 0
    for count, done in enumerate(repack(Disk(), paths), 1):  # noqa: B007 -- used after the loop
        print_line(
            f"{done.outcome}: {done.path}: {counted(done.saved, 'byte')} saved{': ' + done.reason if done.reason else ''}"
        )
        status = status if done.outcome is RepackOutcome.REPACKED else Exit.DAMAGED
    print_line(outcome(count, status != Exit.OK, "repacked"))
    return status
