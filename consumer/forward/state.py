"""The state file of `watch`: up to where each file has been published, and the messages that the broker refused.

Invariants: one process at a time uses a state file; the content id of a file is stored before one of its lines is published, so that
the same line has the same message id in every run. Raises DeedboxError for faults that an operator can repair.
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
_TEMPORARY = {  # errors that may end while `watch` runs, and what to do about them
    errno.ENOSPC: "free space",
    errno.EDQUOT: "free space, or raise the quota",
    errno.EMFILE: "raise the limit of open files (LimitNOFILE), or watch fewer files",
    errno.ENFILE: "raise fs.file-max",
}


class StoredPositions(msgspec.Struct, frozen=True):
    """The content of the state file: the positions of each path, the oldest file first."""

    files: dict[str, list[LinePosition]]
    format: int = FORMAT


class _Format(msgspec.Struct, frozen=True):
    """The format number of a state file, whose other fields may be unknown."""

    format: int


class WatchState:
    """A state file, which a lock file protects until `close`. Without a path, nothing is stored.

    `known`: the positions that are stored, by path. Raises Fatal if another process uses the file, and DeedboxError if it
    cannot be read.
    """

    def __init__(self, disk: Disk, path: Path | None) -> None:
        self._disk, self._path = disk, path
        self.known: dict[str, list[LinePosition]] = {}
        self._lock: int | None = None
        self._storing = Lock()  # the thread of a store that was cancelled continues
        if path is not None:
            # The lock and the new content are created in the directory of the file itself, not in that of a link to it.
            self._path = path = Path(os.path.realpath(path))
            if path.exists() and not path.is_file():
                raise DeedboxError(f"{path}: is not a regular file", "name another state file")
            self._lock = self._acquire_lock(path)
            self.known = _load(path)

    def _acquire_lock(self, path: Path) -> int:
        try:
            lock = self._disk.acquire(path.with_name(path.name + ".lock"))
        except OSError as error:
            raise DeedboxError(f"{error.filename}: {error.strerror}", "make the state file writable") from error
        if lock is None:
            raise Fatal(
                Exit.INSTANCE, f"{path} is used by another process", "stop that process, or name another state file"
            )
        return lock

    def store(self, positions: Mapping[str, Sequence[LinePosition]]) -> None:
        """Store the positions of these paths durably. Raises Retry if it may succeed later, else DeedboxError."""
        with self._storing:
            fresh = {path: list(files) for path, files in positions.items() if self.known.get(path) != list(files)}
            if not fresh:
                return
            known = self.known | fresh
            if self._path is not None:
                self._replace(self._path, msgspec.json.encode(StoredPositions(known)))
            self.known = known

    def _replace(self, path: Path, raw: bytes) -> None:
        try:
            self._disk.replace(path, raw)
        except OSError as error:
            reason = f"{error.filename or path}: {error.strerror or error}"
            if error.errno in _TEMPORARY:
                raise Retry(reason, _TEMPORARY[error.errno]) from error
            # Without a stored position, the same lines would be published at every start.
            raise DeedboxError(reason, "make the state file writable") from error

    def has_stored(self, path: str, positions: Sequence[LinePosition]) -> bool:
        """Whether the content id of each of these files is stored, with any offset."""
        known = {position.content_id for position in self.known.get(path, ())}
        return known >= {position.content_id for position in positions}

    def set_aside(self, body: bytes, about: dict[str, object]) -> str:
        """Append a message that the broker refuses to the file `<state>.refused`, as a JSON line, durably.

        Return the name of the file; an empty text without a state file. Raises DeedboxError.
        """
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
        """Release the lock."""
        if self._lock is not None:
            self._disk.close(self._lock)
            self._lock = None


def _load(path: Path) -> dict[str, list[LinePosition]]:
    remedy = "repair the file, or remove it to start at the end of the watched files"
    try:
        raw = path.read_bytes()
        found = msgspec.json.decode(raw, type=_Format).format
        if found == FORMAT:
            return dict(msgspec.json.decode(raw, type=StoredPositions).files)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise DeedboxError(f"{path}: {error}", remedy) from error
    raise DeedboxError(
        f"{path}: has format {found}, expected {FORMAT}",
        "use the version of Deedbox that wrote it, or name another state file",
    )
