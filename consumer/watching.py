"""The command `watch`, behind `cli`: new lines of files, published to an exchange with confirms.

Invariant: a position is stored only after the broker has confirmed every line before it, and taken each into a queue. A crash
between the two publishes lines again, under the same message ids, by which a reader can know them.
"""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import msgspec

from consumer import log
from consumer.archive.durable import Disk
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.ingest.faults import LOST, reason_of
from consumer.ingest.publish import Message, Publisher
from consumer.watch.backends import Backend, choose
from consumer.watch.lines import Follower, Line, Position

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
        self.known: dict[str, dict[int, Position]] = {}
        if path is not None and path.exists():
            try:
                self.known = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[int, Position]])
            except msgspec.MsgspecError as error:
                raise DeedboxError(
                    f"{path}: {error}", "mend it, or remove it to begin at the end of the files"
                ) from error

    def store(self, path: Path, positions: Mapping[int, Position]) -> None:
        """What was given out of these files was confirmed."""
        if self.known.get(_shown(path)) == positions:
            return
        self.known[_shown(path)] = dict(positions)
        if self._path is not None:
            self._disk.replace(self._path, msgspec.json.encode(self.known))


class Watching:
    """Look, read, publish, store, for ever."""

    def __init__(
        self, paths: Sequence[Path], target: Target, positions: Positions, backend: Backend, from_start: bool = False
    ) -> None:
        known = positions.known
        self._followers = [
            Follower(path, known.get(_shown(path)), from_start) for path in (path.absolute() for path in paths)
        ]
        self._target, self._positions, self._backend = target, positions, backend
        for follower in self._followers:
            positions.store(follower.path, follower.positions())
        self._held: list[Line] = []  # read, and not confirmed
        self._host = socket.gethostname()

    async def run(self) -> NoReturn:
        """Until cancelled. What goes wrong with the broker is logged and tried again with the same lines.

        Raises OSError when positions cannot be stored.
        """
        log.emit("watching", files=len(self._followers), exchange=self._target.exchange, backend=self._backend.name)
        wait_s = 0.5
        while True:
            confirmed = False
            try:
                async with Publisher(self._target.url) as publisher:
                    while True:
                        confirmed |= await self._round(publisher)
            except* LOST as group:
                reason = reason_of(group.exceptions[0])
                wait_s = 0.5 if confirmed else min(2 * wait_s, WAIT_S_MAX)
                log.emit("publish_failed", reason=reason, lines=len(self._held), wait_s=wait_s)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # an error of the library, on its way out, must not stand in for it
            await asyncio.sleep(wait_s)

    async def _round(self, publisher: Publisher) -> bool:
        """Publish what each file has in turn, so that a busy one starves no other; whether there was something."""
        published = False
        for follower in self._followers:
            if not self._held:
                self._held = await asyncio.to_thread(_read, follower)
            if self._held:
                await publisher.publish(map(self._message, self._held), mandatory=True)
                held, self._held = self._held, []
                await self._store(next(one for one in self._followers if one.path == held[0].path))
                published = True
        if not published:
            await asyncio.to_thread(self._wait)
        return published

    async def _store(self, follower: Follower) -> None:
        try:
            await asyncio.to_thread(self._positions.store, follower.path, follower.positions())
        except OSError as error:
            # Not a fault of the broker, and nothing to go on with: what is not stored would be published again and again.
            raise DeedboxError(f"{error.filename}: {error.strerror}", "make the state file writable") from error

    def _wait(self) -> None:
        try:
            self._backend.arm({follower.path.parent for follower in self._followers if follower.path.parent.is_dir()})
        except OSError as error:  # no more watches to be had: it is looked at after the timeout
            log.emit("watch_failed", reason=str(error))
        self._backend.dirty(LOOK_S)

    def _message(self, line: Line) -> Message:
        name = f"{self._host}:{_shown(line.path)}:{line.inode}:{line.offset}"
        properties = {
            "delivery_mode": 2, "message_id": str(uuid5(NAMESPACE_URL, name)),
            "headers": {"host": self._host, "path": _shown(line.path), "position": line.offset},
        }  # fmt: skip
        return Message(self._target.exchange, self._target.routing_key, line.text, properties)


def _read(follower: Follower) -> list[Line]:
    try:
        return list(islice(follower.read(), BATCH_LINES))
    except OSError as error:
        log.emit("watch_failed", reason=f"{follower.path}: {error.strerror or error}")
        return []


def _shown(path: Path) -> str:
    """A path as text, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def watch_files(
    paths: Sequence[Path], target: Target, state: Path | None, from_start: bool, backend: str | None
) -> Exit:
    """Watch until interrupted. Raises Fatal, DeedboxError and OSError."""
    if urlsplit(target.url).scheme not in ("amqp", "amqps"):
        raise Fatal(Exit.SETTINGS, f"--url {target.url!r}", "write amqp://user:password@host/")
    log.start()
    watching = Watching(paths, target, Positions(Disk(), state), choose(backend, growth=True), from_start)
    try:
        asyncio.run(watching.run())
    finally:
        log.flush()
