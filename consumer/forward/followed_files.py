"""FollowedFiles: the watched files, one FileFollower each, and where their positions are stored.

Invariants: one task at a time uses the followers. Files are checked also while the broker is away, so a file that is rotated and
removed meanwhile is read through its open descriptor.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from consumer import log
from consumer.errors import Retry
from consumer.forward.messages import display_path
from consumer.forward.state import WatchState
from consumer.watch import log_events
from consumer.watch.backend import Backend
from consumer.watch.follower import FileFollower
from consumer.watch.line_position import LinePosition
from consumer.watch.lines import Line
from consumer.watch.paths import directories_of

CHECK_S = 0.5  # between two checks without a change
STORE_S = 0.5  # between two stores: after a crash, the lines of this time are published again


class FollowedFiles:
    """The files at `paths`, each once. `checked` is set after each check. Positions are stored in `state`."""

    def __init__(self, paths: Sequence[Path], state: WatchState, backend: Backend, from_start: bool) -> None:
        self._paths = [path.absolute() for path in paths]
        self._state, self._backend = state, backend
        self._watch_directories()  # before a file is opened, so that no rename is missed
        self._backend.renames()
        self._followers = [
            FileFollower(path, state.known.get(display_path(path)), from_start, self._paths)
            for path in dict.fromkeys(self._paths)
        ]
        state.store(self._positions())
        self._turn = 0
        self._lock = asyncio.Lock()
        self.checked = asyncio.Event()

    def __len__(self) -> int:
        return len(self._followers)

    async def keep_checking(self) -> None:
        """Check the files whenever something changes, and every CHECK_S seconds."""
        while True:
            await asyncio.to_thread(self._backend.wait_for_changes, CHECK_S)
            async with self._lock:
                await asyncio.to_thread(self._check)
            self.checked.set()

    def _check(self) -> None:
        self._watch_directories()
        renames = self._backend.renames()
        for follower in self._followers:
            try:
                follower.look(renames)
            except OSError as error:
                log.emit(log_events.WATCH_FAILED, reason=f"{follower.path}: {error.strerror or error}")

    def _watch_directories(self) -> None:
        try:
            self._backend.watch(set().union(*map(directories_of, self._paths)))
        except OSError as error:  # the limit of watches is reached: the files are checked every CHECK_S seconds
            log.emit(log_events.WATCH_FAILED, reason=str(error))

    async def read(self) -> tuple[FileFollower, list[Line]]:
        """The next lines of one file, and its follower. Files take turns, so a busy one does not delay the others."""
        for _ in self._followers:
            self._turn = (self._turn + 1) % len(self._followers)
            follower = self._followers[self._turn]
            async with self._lock:
                lines = await asyncio.to_thread(follower.read)
            if lines:
                break
        return follower, lines

    async def confirm(self, follower: FileFollower) -> None:
        """Every line that was read from this follower is confirmed by the broker."""
        async with self._lock:
            follower.confirm()

    async def keep_storing(self) -> None:
        """Store the positions every STORE_S seconds, also while the broker is away.

        Not after each publish, because a sync may be slower. By the stored size of a file, the next start knows how much was
        not read if the file is gone.
        """
        while True:
            await asyncio.sleep(STORE_S)
            try:
                await self.store()
            except Retry as fault:  # after a crash, more lines are published again; none is lost
                log.emit(log_events.WATCH_FAILED, reason=str(fault))

    async def store(self) -> None:
        """Store the confirmed positions of every file, durably. Raises Retry if it may succeed later, else DeedboxError."""
        async with self._lock:
            positions = self._positions()
        await asyncio.to_thread(self._state.store, positions)

    async def store_content_ids(self, follower: FileFollower) -> None:
        """Store the content ids of a file if they are new: before a message id is derived from them."""
        if not self._state.has_stored(display_path(follower.path), follower.positions()):
            await self.store()

    def _positions(self) -> dict[str, list[LinePosition]]:
        return {display_path(follower.path): follower.positions() for follower in self._followers}

    def interrupt(self) -> None:
        """Let a task that waits for `checked`, or for a change, go on."""
        self.checked.set()
        self._backend.interrupt()

    def close(self) -> None:
        """Close the files."""
        for follower in self._followers:
            follower.close()
