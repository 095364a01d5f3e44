"""The command `watch`, behind `cli`: new lines of files, published to an exchange with confirms.

Invariant: a position is stored only after the broker has confirmed every line before it. A crash between the two publishes lines
again, under the same message ids: Deedbox at the other end drops what it knows.
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn
from uuid import NAMESPACE_URL, uuid5

import msgspec

from consumer import log
from consumer.archive.durable import Disk
from consumer.errors import DeedboxError, Exit
from consumer.ingest.faults import LOST, reason_of
from consumer.ingest.publish import Message, Publisher
from consumer.watch.backends import Backend, choose
from consumer.watch.lines import Follower, Line

BATCH_LINES = 500
LOOK_S = 0.5
WAIT_S_MAX = 30.0


@dataclass(frozen=True)
class Target:
    """Where lines go."""

    url: str
    exchange: str
    routing_key: str


class Positions:
    """How far each file has been published: by path and inode, in a file, if there is one. Raises DeedboxError and OSError."""

    def __init__(self, disk: Disk, path: Path | None) -> None:
        self._disk, self._path = disk, path
        self.known: dict[str, dict[int, int]] = {}
        if path is not None and path.exists():
            try:
                self.known = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[int, int]])
            except msgspec.MsgspecError as error:
                raise DeedboxError(
                    f"{path}: {error}", "mend it, or remove it to begin at the end of the files"
                ) from error

    def store(self, lines: Sequence[Line], inodes: set[int]) -> None:
        """These lines of one path were confirmed; what is not in `inodes` is not read any more."""
        known = self.known.setdefault(str(lines[0].path), {})
        known |= {line.position.inode: line.position.offset for line in lines}
        for inode in known.keys() - inodes:
            del known[inode]
        if self._path is not None:
            self._disk.replace(self._path, msgspec.json.encode(self.known))


class Watching:
    """Look, read, publish, store, for ever."""

    def __init__(
        self, paths: Sequence[Path], target: Target, positions: Positions, backend: Backend, from_start: bool = False
    ) -> None:
        known = positions.known
        self._followers = [
            Follower(path, known.get(str(path)), from_start) for path in (path.absolute() for path in paths)
        ]
        self._target, self._positions, self._backend = target, positions, backend
        self._held: list[Line] = []  # read, and not confirmed
        self._host = socket.gethostname()

    async def run(self) -> NoReturn:
        """Until cancelled. What goes wrong with the broker is logged and tried again with the same lines."""
        log.emit("watching", files=len(self._followers), exchange=self._target.exchange, backend=self._backend.name)
        wait_s = 0.5
        while True:
            confirmed = False
            try:
                async with Publisher(self._target.url) as publisher:
                    while True:
                        confirmed |= await self._step(publisher)
            except* LOST as group:
                reason = reason_of(group.exceptions[0])
                wait_s = 0.5 if confirmed else min(2 * wait_s, WAIT_S_MAX)
                log.emit("publish_failed", reason=reason, lines=len(self._held), wait_s=wait_s)
            await asyncio.sleep(wait_s)

    async def _step(self, publisher: Publisher) -> bool:
        """Publish what one file has, and store that; whether there was something."""
        for follower in self._followers:
            if not self._held:
                self._held = await asyncio.to_thread(lambda: list(islice(follower.read(), BATCH_LINES)))  # noqa: B023 -- awaited here
            if self._held:
                lines = self._held
                await publisher.publish(map(self._message, lines))
                inodes = next(one.inodes for one in self._followers if one.path == lines[0].path)
                await asyncio.to_thread(self._positions.store, lines, inodes)
                self._held = []
                return True
        await asyncio.to_thread(self._wait)
        return False

    def _wait(self) -> None:
        self._backend.arm({follower.path.parent for follower in self._followers if follower.path.parent.is_dir()})
        self._backend.dirty(LOOK_S)

    def _message(self, line: Line) -> Message:
        name = f"{self._host}:{line.path}:{line.position.inode}:{line.position.offset}"
        properties = {
            "delivery_mode": 2, "message_id": str(uuid5(NAMESPACE_URL, name)),
            "headers": {"host": self._host, "path": str(line.path), "position": line.position.offset},
        }  # fmt: skip
        return Message(self._target.exchange, self._target.routing_key, line.text, properties)


def watch_files(
    paths: Sequence[Path], target: Target, state: Path | None, from_start: bool, backend: str | None
) -> Exit:
    """Watch until interrupted. Raises Fatal, DeedboxError and OSError."""
    log.start()
    watching = Watching(paths, target, Positions(Disk(), state), choose(backend, growth=True), from_start)
    try:
        asyncio.run(watching.run())
    finally:
        log.flush()
