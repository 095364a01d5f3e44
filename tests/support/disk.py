"""A disk that records which bytes are durable, and fails on demand.

`ShadowDisk` is the real `Disk` over a real directory. It also records in `Durable` what would survive a power cut: the bytes of each
file as of its last sync, and the entries of each directory as of the directory's last sync. `after_power_cut` writes
that state to another directory. The idea is LevelDB's fault injection test.
"""

import errno
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from consumer.disk.durable import Disk

Unsynced = Literal["lost", "torn", "kept"]  # what a power cut does with the bytes of a file that were not synced


@dataclass
class Durable:
    """What survives a power cut below `root`. All processes of the machine share it."""

    root: Path
    contents: dict[int, bytes] = field(default_factory=dict)  # inode -> bytes as of the last sync
    entries: dict[Path, int] = field(default_factory=dict)  # durable names, relative to the root -> inode
    directories: set[Path] = field(default_factory=lambda: {Path()})
    _dropped: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # inode -> ranges of a failed sync
    _pins: dict[int, int] | None = None  # inode -> descriptor, so that no other file gets its number

    def pin(self, path: Path) -> None:
        """The file may be new. O_PATH holds the inode, and no lock."""
        if self._pins is not None and (inode := path.stat().st_ino) not in self._pins:
            self._pins[inode] = os.open(path, os.O_PATH | os.O_CLOEXEC)

    def close(self) -> None:
        """Give up the inodes."""
        for fd in (self._pins or {}).values():
            os.close(fd)

    @classmethod
    def of(cls, root: Path) -> "Durable":
        """Everything that is below `root` now. Close it: for a long series of steps, it keeps inodes from being used again."""
        durable = cls(root, _pins={})
        for directory in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            durable.remember_directory(directory)
        for path in root.rglob("*"):
            if path.is_file():
                durable.pin(path)
                durable.contents[path.stat().st_ino] = path.read_bytes()
        return durable

    def remember(self, fd: int) -> None:
        """The file was synced."""
        stat = os.fstat(fd)
        self.contents[stat.st_ino] = self._as_written(stat.st_ino, os.pread(fd, stat.st_size, 0))

    def remember_directory(self, path: Path) -> None:
        """The directory was synced."""
        relative = path.resolve().relative_to(self.root.resolve())
        self.entries = {name: inode for name, inode in self.entries.items() if name.parent != relative}
        for entry in os.scandir(path):
            if entry.is_dir():
                self.directories.add(relative / entry.name)
            else:
                self.entries[relative / entry.name] = entry.inode()

    def drop(self, fd: int) -> None:
        """A sync of the file failed: the kernel calls the pages clean, and no later sync writes them."""
        stat = os.fstat(fd)
        begin = len(self.contents.get(stat.st_ino, b""))
        self._dropped.setdefault(stat.st_ino, []).append((begin, stat.st_size))

    def cut(self, fd: int, size: int) -> None:
        """The file was truncated: bytes that are written there now are new."""
        inode = os.fstat(fd).st_ino
        ranges = self._dropped.get(inode, [])
        self._dropped[inode] = [(begin, min(end, size)) for begin, end in ranges if begin < size]

    def _as_written(self, inode: int, raw: bytes) -> bytes:
        written = bytearray(raw)
        for begin, end in self._dropped.get(inode, []):
            written[begin:end] = bytes(len(written[begin:end]))
        return bytes(written)

    def after_power_cut(self, target: Path, unsynced: Unsynced = "lost") -> Path:
        """Write the durable state to `target`: synced bytes under synced names, and those of the other bytes that the power cut left."""
        for directory in sorted(self.directories):
            (target / directory).mkdir(parents=True, exist_ok=True)
        now = {path.stat().st_ino: path for path in self.root.rglob("*") if path.is_file()}
        first: dict[int, Path] = {}
        for name, inode in self.entries.items():
            if inode in first:
                (target / name).hardlink_to(first[inode])  # one file under two names, as it was
            else:
                (target / name).write_bytes(self._left(inode, now.get(inode), unsynced))
                first[inode] = target / name
        return target

    def _left(self, inode: int, path: Path | None, unsynced: Unsynced) -> bytes:
        synced = self.contents.get(inode, b"")
        written = self._as_written(inode, path.read_bytes()) if path else b""
        if unsynced == "lost" or not written.startswith(synced):
            return synced
        return written if unsynced == "kept" else written[: (len(synced) + len(written) + 1) // 2]


class ShadowDisk(Disk):
    """The disk of one process. Counts its calls; at call `fail_at` it raises `error` (after writing half, where it writes).

    `crash`: it raises PowerCut, then and at every call after it. `lasting`: the calls that fail from then on, every time.
    """

    def __init__(
        self,
        root: Path,
        fail_at: int = 0,
        error: int = errno.EIO,
        crash: bool = False,
        durable: Durable | None = None,
    ) -> None:
        super().__init__()
        self.durable = durable or Durable(root)
        self.calls: list[str] = []
        self.fail_at, self.error, self.crash = fail_at, error, crash
        self.lasting: Collection[str] = ()
        self._fds: set[int] = set()

    def step(self, name: str) -> None:
        self.calls.append(name)
        late = self.fail_at and len(self.calls) > self.fail_at
        if len(self.calls) == self.fail_at or (late and (self.crash or name in self.lasting)):
            if self.crash:
                raise PowerCut
            raise OSError(self.error, os.strerror(self.error))

    def end_process(self) -> None:
        """Close all files, as the kernel does when a process ends. Their locks go with them."""
        for fd in list(self._fds):
            self.close(fd)

    def open(self, path):
        return self._opened(super().open(path))

    def acquire(self, path, purpose=""):
        fd = self._opened(super().acquire(path, purpose))
        self.durable.pin(path)
        return fd

    def _opened(self, fd):
        if fd is not None:
            self._fds.add(fd)
        return fd

    def close(self, fd):
        self._fds.discard(fd)
        super().close(fd)

    def create(self, path):
        self.step("create")
        fd = self._opened(super().create(path))
        self.durable.pin(path)
        return fd

    def append(self, fd, raw):
        try:
            self.step("append")
        except (OSError, PowerCut):
            os.write(fd, raw[: len(raw) // 2])  # a torn write
            raise
        super().append(fd, raw)

    def sync(self, fd):
        try:
            self.step("sync")
        except OSError:
            self.durable.drop(fd)
            raise
        super().sync(fd)
        self.durable.remember(fd)

    def sync_whole(self, fd):
        self.step("sync_whole")
        super().sync_whole(fd)
        self.durable.remember(fd)

    def fsync_directory(self, path):
        self.step("sync_directory")
        super().fsync_directory(path)
        self.durable.remember_directory(path)

    def overwrite(self, path, raw):
        self.step("overwrite")
        super().overwrite(path, raw)
        self.durable.pin(path)

    def truncate(self, fd, size):
        self.step("truncate")
        super().truncate(fd, size)
        self.durable.cut(fd, size)

    def make_directory(self, path):
        if not path.is_dir():
            self.step("make_directory")
        super().make_directory(path)

    def rename(self, source, target):
        self.step("rename")
        super().rename(source, target)

    def replace_with(self, path, write):
        self.step("replace")
        super().replace_with(path, partial(self._write_pinned, path, write))

    def _write_pinned(self, path, write, fd):
        self.durable.pin(Path(f"/proc/self/fd/{fd}"))
        write(fd)
        # The file is synced before it gets its name: its bytes are durable, also if the sync of the directory fails.
        self.durable.contents[os.fstat(fd).st_ino] = Path(f"/proc/self/fd/{fd}").read_bytes()

    def replace_keeping(self, path, fresh, aside):
        self.step("replace_keeping")
        super().replace_keeping(path, fresh, aside)

    def remove(self, path):
        self.step("remove")
        super().remove(path)

    def after_power_cut(self, target: Path) -> Path:
        """Write the durable state to `target`: synced bytes under synced names."""
        return self.durable.after_power_cut(target)


class PowerCut(BaseException):
    """No code runs after this."""


def fail_on(disk: ShadowDisk, *names: str) -> None:
    """From now on, these calls find no space."""

    def step(name: str) -> None:
        disk.calls.append(name)
        if name in names:
            raise OSError(errno.ENOSPC, "No space left on device")

    disk.step = step  # type: ignore[method-assign]
