"""A disk that remembers what it has promised, and fails when it is told to.

`ShadowDisk` is the real door over a real directory; beside it, it keeps what would survive a power cut: the bytes of each
file as of its last sync, and the entries of each directory as of the directory's last sync. `after_power_cut` writes
that state to another directory. The idea is LevelDB's fault injection test.
"""

import errno
import os
from pathlib import Path

from consumer.disk.durable import Disk


class ShadowDisk(Disk):
    """Counts its calls; at call `fail_at` it raises `error` (after writing half, where it writes)."""

    def __init__(self, root: Path, fail_at: int = 0, error: int = errno.EIO, crash: bool = False) -> None:
        super().__init__()
        self.root = root
        self.calls: list[str] = []
        self.fail_at, self.error, self.crash = fail_at, error, crash
        self._contents: dict[int, bytes] = {}  # inode -> bytes as of the last sync
        self._entries: dict[Path, int] = {}  # durable names, relative to the root -> inode
        self._directories: set[Path] = {Path()}

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if self.fail_at and (len(self.calls) == self.fail_at or (self.crash and len(self.calls) > self.fail_at)):
            if self.crash:
                raise PowerCut
            raise OSError(self.error, os.strerror(self.error))

    def create(self, path):
        self._step("create")
        return super().create(path)

    def append(self, fd, raw):
        try:
            self._step("append")
        except (OSError, PowerCut):
            os.write(fd, raw[: len(raw) // 2])  # a torn write
            raise
        super().append(fd, raw)

    def sync(self, fd):
        self._step("sync")
        super().sync(fd)
        self._remember(fd)

    def _remember(self, fd: int) -> None:
        stat = os.fstat(fd)
        self._contents[stat.st_ino] = os.pread(fd, stat.st_size, 0)

    def fsync_directory(self, path):
        self._step("sync_directory")
        super().fsync_directory(path)
        relative = path.resolve().relative_to(self.root.resolve())
        self._entries = {name: inode for name, inode in self._entries.items() if name.parent != relative}
        for entry in os.scandir(path):
            if entry.is_dir():
                self._directories.add(relative / entry.name)
            else:
                self._entries[relative / entry.name] = entry.inode()

    def overwrite(self, path, raw):
        self._step("overwrite")
        super().overwrite(path, raw)

    def truncate(self, fd, size):
        self._step("truncate")
        super().truncate(fd, size)

    def make_directory(self, path):
        if not path.is_dir():
            self._step("make_directory")
        super().make_directory(path)

    def rename(self, source, target):
        self._step("rename")
        super().rename(source, target)

    def replace_with(self, path, write):
        self._step("replace")
        super().replace_with(path, write)
        self._contents[path.stat().st_ino] = path.read_bytes()

    def replace_keeping(self, path, fresh, aside):
        self._step("replace_keeping")
        super().replace_keeping(path, fresh, aside)

    def remove(self, path):
        self._step("remove")
        super().remove(path)

    def after_power_cut(self, target: Path) -> Path:
        """Write what is durable to `target`: synced bytes under synced names."""
        for directory in sorted(self._directories):
            (target / directory).mkdir(parents=True, exist_ok=True)
        first: dict[int, Path] = {}
        for name, inode in self._entries.items():
            if inode in first:
                (target / name).hardlink_to(first[inode])  # one file under two names, as it was
            else:
                (target / name).write_bytes(self._contents.get(inode, b""))
                first[inode] = target / name
        return target


class PowerCut(BaseException):
    """No code runs after this."""


def fail_on(disk: ShadowDisk, *names: str) -> None:
    """From now on, these calls find no space."""

    def step(name: str) -> None:
        disk.calls.append(name)
        if name in names:
            raise OSError(errno.ENOSPC, "No space left on device")

    disk._step = step  # type: ignore[method-assign]
