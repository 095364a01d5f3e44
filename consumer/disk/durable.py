"""Durable file operations: create, lock, append, sync, rename without replacing.

Invariants: when a method of `Disk` returns, the result that its docstring describes survives a power cut. No other module of Deedbox
calls fsync, fdatasync, link or rename on archives, so that a test that replaces `Disk` sees all of these calls. Files are
regular files: a symbolic link, a FIFO or a device under a name that Deedbox uses is an error, and nothing is written through it.
Sources: open(2), fsync(2), flock(2), rename(2).
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codec.counted import counted
from consumer.disk import locks
from consumer.disk.syscalls import file_system_type, rename_noreplace

PURPOSE_BYTES = 16  # a fixed size, so that it is written in place on a full disk


class Disk:
    """The real file system. Every method raises the OSError of the kernel.

    `unsynced`: directories whose sync failed after a file was renamed in them. They are synced before any other directory is synced
    or any name is removed, because an old name must not be lost before the new one is durable.
    """

    def __init__(self) -> None:
        self.unsynced: dict[Path, None] = {}  # in the order in which they must be synced

    def create(self, path: Path) -> int:
        """Create a file, open for appending and locked. Raises FileExistsError; an existing file is never overwritten."""
        fd = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        try:
            locks.lock(fd)
        except OSError:
            self.close(fd)
            path.unlink()
            raise
        return fd

    def open(self, path: Path) -> int:
        """Open an existing file for appending and reading, also if it is read-only."""
        flags = os.O_RDWR | os.O_APPEND
        try:
            return open_regular(path, flags)
        except PermissionError:
            fd = open_regular(path, os.O_RDONLY)
            try:
                os.fchmod(fd, 0o640)
            finally:
                os.close(fd)
            return open_regular(path, flags)

    def close(self, fd: int) -> None:
        """Close the file, which releases its lock. Errors are ignored: the sync before has reported them."""
        with suppress(OSError):
            os.close(fd)

    def try_lock(self, fd: int) -> bool:
        """Lock the file, unless another process has it locked. Returns whether it is locked now; closing the file releases it."""
        return locks.try_lock(fd)

    def acquire(self, path: Path, purpose: str = "") -> int | None:
        """Lock the lock file `path`; it is created if necessary. Returns its descriptor, or None if another process holds it.

        `purpose` is written to the file, if the disk accepts it. Closing the descriptor releases the lock. The file is never removed,
        because two processes could then hold two files of one name.
        """
        fd = open_regular(path, os.O_RDWR | os.O_CREAT)
        try:
            if self.try_lock(fd):
                with suppress(OSError):
                    os.pwrite(fd, purpose.encode().ljust(PURPOSE_BYTES), 0)
                return fd
        except OSError:
            self.close(fd)
            raise
        self.close(fd)
        return None

    def append(self, fd: int, raw: bytes) -> None:
        """Write all of `raw` at the end; in one call, unless the kernel accepts only a part. Durable after `sync`."""
        rest = memoryview(raw)
        try:
            while rest := rest[os.write(fd, rest) :]:
                pass
        except OSError as error:
            with suppress(OSError):  # without /proc the name is unknown
                error.filename = str(Path(f"/proc/self/fd/{fd}").readlink())
            raise

    def overwrite(self, path: Path, raw: bytes) -> None:
        """Write `raw` at the beginning of a file, by one write in place. The file is created if it is missing. It is not synced.

        A file that already has this size needs no more space, so that this succeeds on a full disk.
        """
        fd = open_regular(path, os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(fd, raw, 0)
        finally:
            os.close(fd)

    def sync(self, fd: int) -> None:
        """Make the bytes and the size of the file durable. After an error, never call it again on this descriptor:
        the kernel reports a lost write once, and then treats the pages as written."""
        os.fdatasync(fd)

    def sync_whole(self, fd: int) -> None:
        """As `sync`, with the extended attributes."""
        os.fsync(fd)

    def sync_path(self, path: Path) -> None:
        """Make the present content of a file durable, whichever process wrote it."""
        fd = open_regular(path, os.O_RDONLY)
        try:
            self.sync(fd)
        finally:
            os.close(fd)

    def sync_directory(self, path: Path) -> None:
        """Make the entries of the directory durable: fsync of a file does not sync its name (fsync(2)).

        Directories that wait for their sync are synced first.
        """
        self.sync_waiting()
        self.fsync_directory(path)

    def sync_waiting(self) -> None:
        """Sync the directories in `unsynced`. A directory that was removed in the meantime is left out."""
        for path in list(self.unsynced):
            with suppress(FileNotFoundError):
                self.fsync_directory(path)
            self.unsynced.pop(path, None)

    def fsync_directory(self, path: Path) -> None:
        """One fsync of one directory. Call `sync_directory` instead."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def check(self, fd: int, path: Path, size: int) -> None:
        """Check that `path` is still the only name of the open file, and that the file has `size` bytes.

        Raises FileNotFoundError, or OSError with ESTALE, if another process has removed, replaced or written it.
        """
        own, named = os.fstat(fd), os.lstat(path)
        if own.st_ino != named.st_ino or own.st_dev != named.st_dev:
            reason = "another file has its name now"
        elif own.st_nlink != 1:
            reason = f"it has {counted(own.st_nlink, 'name')}, 1 expected"
        elif own.st_size != size:
            reason = f"it has {counted(own.st_size, 'byte')}, {size} expected"
        else:
            return
        raise OSError(errno.ESTALE, f"changed by another process: {reason}", str(path))

    def retract(self, fd: int, path: Path, size: int, written: bytes) -> None:
        """Cut off the bytes after the first `size` bytes, if they are the beginning of `written`, which this process appended.

        Other bytes were written by another process and stay. Raises OSError, as `check` does.
        """
        after = os.fstat(fd).st_size - size
        self.check(fd, path, size + max(after, 0))
        if 0 < after <= len(written) and os.pread(fd, after, size) == written[:after]:
            self.truncate(fd, size)

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file to `size` bytes. Durable after `sync`."""
        os.ftruncate(fd, size)

    def make_read_only(self, fd: int) -> None:
        """Remove the write permission: sealed archives never change."""
        os.fchmod(fd, 0o440)

    def make_directory(self, path: Path) -> None:
        """Create the directory and its parents durably, if they are missing."""
        if path.is_dir():
            return
        self.make_directory(path.parent)
        path.mkdir(exist_ok=True)
        self.sync_directory(path.parent)

    def rename(self, source: Path, target: Path) -> None:
        """Give the file another name, and sync its directories. Raises FileExistsError rather than replace anything.

        After an error the file still has its old name. A directory that could not be synced is not an error: it is kept
        in `unsynced`. Until it is synced, the file may have its old name again after a power cut; it is never lost.
        """
        self.sync_waiting()
        rename_noreplace(source, target)
        self.unsynced |= dict.fromkeys((target.parent, source.parent))
        with suppress(OSError):
            self.sync_waiting()

    def link(self, source: Path, target: Path) -> None:
        """Give the file one more name, durably. Raises FileExistsError rather than replace anything."""
        os.link(source, target)
        self.sync_directory(target.parent)

    def replace(self, path: Path, raw: bytes) -> None:
        """Replace the content of `path` durably. At every moment it holds either the old bytes or the new ones."""
        self.replace_with(path, lambda fd: self.append(fd, raw))

    def replace_with(self, path: Path, write: Callable[[int], None]) -> None:
        """As `replace`, with the bytes that `write` writes to the descriptor of a new file."""
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)  # left by a crash, or created by another program
        fd = open_regular(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            write(fd)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(fresh, path)
        self.sync_directory(path.parent)

    def publish(self, fd: int, fresh: Path, path: Path, replace: bool) -> None:
        """Give a new file, which is open as `fd`, the name `path`. Raises FileExistsError if a file has it, unless `replace`."""
        self.sync_whole(fd)
        if replace:
            os.replace(fresh, path)
        else:
            rename_noreplace(fresh, path)
        self.sync_directory(path.parent)

    def replace_keeping(self, path: Path, fresh: Path, aside: Path) -> None:
        """Replace `path` by `fresh`, and keep the old file as `aside`. Durable; `path` exists at every moment."""
        os.link(path, aside)
        os.replace(fresh, path)
        self.sync_directory(path.parent)
        if fresh.parent != path.parent:
            self.sync_directory(fresh.parent)

    def remove(self, path: Path) -> None:
        """Remove the name durably."""
        self.sync_waiting()
        path.unlink()
        self.sync_directory(path.parent)

    def file_system(self, path: Path) -> int:
        """The type of the file system of `path`: `f_type` of statfs(2); 0 if the C library does not provide it."""
        return file_system_type(path)

    def free_bytes(self, path: Path) -> int:
        """The bytes that an unprivileged process can still write."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize


def open_regular(path: Path, flags: int, follow: bool = False) -> int:
    """Open a regular file. Raises OSError for a symbolic link (ELOOP) and for a FIFO, device or directory (EINVAL).

    `follow`: follow a symbolic link; only for reading archives, never for writing.
    """
    try:
        # O_NONBLOCK: opening a FIFO would wait for its other end. It has no effect on regular files.
        fd = os.open(path, flags | (0 if follow else os.O_NOFOLLOW) | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a symbolic link, a regular file is expected", str(path)) from error
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "is not a regular file", str(path))


def read_regular(path: Path, size: int = -1) -> bytes:
    """The content of a regular file, or its first `size` bytes. Raises OSError, as `open_regular` does."""
    with open(open_regular(path, os.O_RDONLY), "rb") as file:
        return file.read(size)


def is_held(path: Path) -> bool:
    """Whether a process has the file locked. It may then not have written its last bytes yet."""
    fd = open_regular(path, os.O_RDONLY)
    try:
        return locks.is_locked(fd)
    finally:
        os.close(fd)


@contextmanager
def held(disk: Disk, path: Path, purpose: str = "") -> Iterator[bool]:
    """Hold the lock file `path` during the block. Yields False if another process holds it."""
    fd = disk.acquire(path, purpose)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            disk.close(fd)
