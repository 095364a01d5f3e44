"""The checkpoint of a follower: up to which event of each instance it has confirmed, stored in a file of the archive directory.

Invariants: one process at a time holds a checkpoint; a position is stored only after the effect of its event, durably; a file that
cannot be read ends the follower with an error and is never replaced. The fingerprint of the event at the position shows whether the archives
still are those that were followed.
"""

import errno
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from codec.errors import Corrupt
from consumer.archive import naming
from consumer.archive.position import Position
from consumer.disk.durable import Disk, read_regular
from consumer.errors import DeedboxError, Exit, Fatal

FORMAT = 1
DIRECTORY = "followers"
SUFFIX = ".checkpoint"
BYTES_MAX = 64 << 20  # some 500,000 streams


class StreamName(NamedTuple):
    """The archives of one instance. `directory`: where it writes, relative to the followed directory; `.` for that one itself."""

    directory: str
    instance: str


class Confirmed(NamedTuple):
    """The last event of a stream that was confirmed."""

    position: Position
    fingerprint: str


class _Entry(msgspec.Struct, frozen=True):
    directory: str
    position: str
    fingerprint: str


class _File(msgspec.Struct, frozen=True):
    streams: list[_Entry]
    format: int = FORMAT


class _Format(msgspec.Struct, frozen=True):
    """The format of a checkpoint file, whatever else is in it."""

    format: int


def checkpoint_path(directory: Path, name: str) -> Path:
    """The file of one follower of an archive directory."""
    return directory / DIRECTORY / f"{name}{SUFFIX}"


def registered(directory: Path) -> dict[Path, dict[StreamName, Confirmed]]:
    """The checkpoints of all followers of an archive directory, by their files. No lock is taken.

    Raises DeedboxError if the folder or a file cannot be read: the follower may still need every archive.
    """
    folder = directory / DIRECTORY
    try:
        files = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise DeedboxError(f"{folder}: {error.strerror}", "make it readable") from error
    return {path: found for path in files if (found := _load(path)) is not None}


class Checkpoint:
    """The checkpoint file of one follower, locked until `close`. `confirmed`: what it holds; `is_new`: there was no file."""

    def __init__(self, disk: Disk, directory: Path, name: str) -> None:
        """Lock and read the checkpoint. Raises Fatal if another process holds it, DeedboxError if it cannot be read."""
        if not naming.is_instance(name):
            raise Fatal(Exit.SETTINGS, f"{name!r} is no name of a checkpoint", f"use {naming.INSTANCE_RULE}")
        self.path = checkpoint_path(directory, name)
        self._disk = disk
        self._lock: int | None = self._acquire_lock(directory)
        try:
            loaded = _load(self.path)
        except BaseException:
            self.close()
            raise
        self.is_new = loaded is None
        self.confirmed: dict[StreamName, Confirmed] = loaded or {}

    def _acquire_lock(self, directory: Path) -> int:
        try:
            self._make_directory(directory)
            lock = self._disk.acquire(self.path.with_name(self.path.name + ".lock"))
        except OSError as error:
            raise _unwritable(self.path, error) from error
        if lock is None:
            raise Fatal(
                Exit.INSTANCE, f"{self.path} is used by another process", "stop that process, or choose another name"
            )
        return lock

    def _make_directory(self, directory: Path) -> None:
        if not directory.is_dir():
            raise FileNotFoundError(errno.ENOENT, "is not a directory", str(directory))
        with suppress(FileExistsError):
            self.path.parent.mkdir()
            self._disk.sync_directory(directory)

    def store(self, confirmed: Mapping[StreamName, Confirmed]) -> None:
        """Keep these positions, durably; those of other streams stay. Raises DeedboxError; the old file then still holds."""
        known = self.confirmed | dict(confirmed)
        if known == self.confirmed and not self.is_new:
            return
        entries = [_Entry(name.directory, str(at.position), at.fingerprint) for name, at in sorted(known.items())]
        try:
            self._disk.replace(self.path, msgspec.json.format(msgspec.json.encode(_File(entries)), indent=1))
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.confirmed, self.is_new = known, False

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._disk.close(self._lock)
            self._lock = None


def _unwritable(path: Path, error: OSError) -> DeedboxError:
    remedy = (
        "free space"
        if error.errno in (errno.ENOSPC, errno.EDQUOT)
        else "name the archive directory, and make it writable"
    )
    return DeedboxError(f"{error.filename or path}: {error.strerror or error}", remedy)


def _load(path: Path) -> dict[StreamName, Confirmed] | None:
    """What the file holds; None if there is none."""
    try:
        raw = read_regular(path, BYTES_MAX + 1)
        if len(raw) > BYTES_MAX:
            raise Corrupt(f"longer than {BYTES_MAX} bytes")
        if (found := msgspec.json.decode(raw, type=_Format).format) != FORMAT:
            what = f"{path}: the checkpoint has format {found}, expected {FORMAT}"
            raise DeedboxError(what, "use the version of Deedbox that wrote it, or choose another name")
        return dict(map(_confirmed, msgspec.json.decode(raw, type=_File).streams))
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError, Corrupt) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DeedboxError(f"{path}: {reason}", "restore the file, or remove it to begin again") from error


def _confirmed(entry: _Entry) -> tuple[StreamName, Confirmed]:
    position = Position.parse(entry.position)
    return StreamName(entry.directory, position.instance), Confirmed(position, entry.fingerprint)
