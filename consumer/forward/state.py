"""What `watch` remembers: how far each file has been published, and the messages that the broker refused.

Invariants: one process at a time has a state; the content_id of a file is stored before a line of it is published, so that
the same line has the same message id in every life. Raises DeedboxError where a person can help.
"""

import errno
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import msgspec

from consumer.disk.durable import Disk
from consumer.errors import DeedboxError, Exit, Fatal, Retry
from consumer.watch.line_position import LinePosition

FORMAT = 1
_PASSING = {  # errors that may pass while `watch` runs, and what to do about them
    errno.ENOSPC: "free space",
    errno.EDQUOT: "free space, or raise the quota",
    errno.EMFILE: "raise the limit of open files (LimitNOFILE), or watch fewer files",
    errno.ENFILE: "raise fs.file-max",
}


class Remembered(msgspec.Struct, frozen=True):
    """The content of the state file: positions by path, the oldest file of a path first."""

    files: dict[str, list[LinePosition]]
    format: int = FORMAT


class _Format(msgspec.Struct, frozen=True):
    """The format of a state file, whatever else is in it."""

    format: int


class WatchState:
    """A state file, held by a lock beside it until `close`; without a path it is forgotten at the end."""

    def __init__(self, disk: Disk, path: Path | None) -> None:
        self._disk, self._path = disk, path
        self.known: dict[str, list[LinePosition]] = {}
        self._lock: int | None = None
        self._storing = Lock()  # a store that was cancelled goes on in its thread
        if path is not None:
            # The lock and the new content stand beside the file, not beside a link to it.
            self._path = path = Path(os.path.realpath(path))
            if path.exists() and not path.is_file():
                raise DeedboxError(f"{path}: is not a regular file", "name another state file")
            self._lock = self._take(path)
            self.known = _load(path)

    def _take(self, path: Path) -> int:
        try:
            lock = self._disk.acquire(path.with_name(path.name + ".lock"))
        except OSError as error:
            raise DeedboxError(f"{error.filename}: {error.strerror}", "make the state file writable") from error
        if lock is None:
            raise Fatal(
                Exit.INSTANCE, f"{path} belongs to another process", "stop that one, or name another state file"
            )
        return lock

    def store(self, positions: Mapping[str, Sequence[LinePosition]]) -> None:
        """Remember up to where the files of these paths are published. Durable. Raises Retry if it may succeed later."""
        with self._storing:
            fresh = {path: list(files) for path, files in positions.items() if self.known.get(path) != list(files)}
            if not fresh:
                return
            known = self.known | fresh
            if self._path is not None:
                self._replace(self._path, msgspec.json.encode(Remembered(known)))
            self.known = known

    def _replace(self, path: Path, raw: bytes) -> None:
        try:
            self._disk.replace(path, raw)
        except OSError as error:
            reason = f"{error.filename or path}: {error.strerror or error}"
            if error.errno in _PASSING:
                raise Retry(reason, _PASSING[error.errno]) from error
            # Not a fault of the broker: without it the same lines would be published again and again.
            raise DeedboxError(reason, "make the state file writable") from error

    def knows(self, path: str, positions: Sequence[LinePosition]) -> bool:
        """Whether each of these files is remembered in this life of its content, at whatever offset."""
        known = {position.content_id for position in self.known.get(path, ())}
        return known >= {position.content_id for position in positions}

    def set_aside(self, body: bytes, about: dict[str, object]) -> str:
        """Keep a message that the broker refuses, as a JSON line. Durable. The name of the file; empty without a state."""
        if self._path is None:
            return ""
        path = self._path.with_name(self._path.name + ".refused")
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **about,
            "body_base64": b64encode(body).decode(),
        }
        try:
            self._append(path, msgspec.json.encode(line) + b"\n")
        except OSError as error:
            raise DeedboxError(f"{path}: {error.strerror}", "make the directory of the state file writable") from error
        return str(path)

    def _append(self, path: Path, raw: bytes) -> None:
        try:
            fd = self._disk.open(path)
        except FileNotFoundError:
            fd = self._disk.create(path)
            self._disk.sync_directory(path.parent)
        try:
            self._disk.append(fd, raw)
            self._disk.sync(fd)
        finally:
            self._disk.close(fd)

    def close(self) -> None:
        """Give up the lock."""
        if self._lock is not None:
            self._disk.close(self._lock)
            self._lock = None


def _load(path: Path) -> dict[str, list[LinePosition]]:
    remedy = "repair it, or remove it to begin at the end of the files"
    try:
        raw = path.read_bytes()
        found = msgspec.json.decode(raw, type=_Format).format
        if found == FORMAT:
            return dict(msgspec.json.decode(raw, type=Remembered).files)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise DeedboxError(f"{path}: {error}", remedy) from error
    raise DeedboxError(
        f"{path}: has format {found}, expected {FORMAT}",
        "use the version of Deedbox that wrote it, or name another state file",
    )
