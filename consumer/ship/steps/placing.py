"""Give an archive another place: link, move, change of suffix. Each can be repeated after a crash at any point.

Invariants: no file is replaced. At every moment the archive is whole at its old or its new place. Across file systems the copy is durable and
compared before the original is removed. The files beside an archive (deleted events, acknowledged faults) are at the new place before the
archive is, so that a deleted event is never shown.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from consumer.archive import naming
from consumer.archive.writing.sealing import digest
from consumer.disk.durable import Disk, held, open_regular
from consumer.errors import DeedboxError
from consumer.ship.side_files import DELETED_LOCK, side_files

MOVING_SUFFIX = ".moving"
COPY_BYTES = 1 << 20


def link(disk: Disk, root: Path, path: Path, archive: naming.ArchiveId, directory: Path) -> Path:
    """Give the archive one more name in another directory of the same file system. Raises OSError and DeedboxError."""
    disk.make_directory(directory)
    target = directory / path.name
    copy_side_files(disk, root, path, archive, directory)
    try:
        disk.link(path, target)
    except FileExistsError:
        if not target.samefile(path) and digest(target) != digest(path):
            raise _occupied(target) from None
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        do = "name a directory on the file system of the archive directory, or use a run step that copies"
        raise DeedboxError(f"{directory}: is on another file system, which no hard link can reach", do) from error
    return target


def move(disk: Disk, path: Path, target: Path, sha256: str) -> None:
    """Move the file `path` with this SHA-256 to `target`. Raises OSError and DeedboxError; the archive then is at one of the two places."""
    disk.make_directory(target.parent)
    if not os.path.lexists(path):
        if os.path.lexists(target) and digest(target) == sha256:
            disk.sync_directory(target.parent)  # an earlier run was ended after the rename
            return
        raise DeedboxError(f"{path}: is gone, and {target} does not have its content", "look for the file")
    if not os.path.lexists(target):
        try:
            disk.rename(path, target)
        except FileExistsError:
            raise _occupied(target) from None
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(disk, path, target, sha256)
            disk.remove(path)
        return
    if digest(target) != sha256:
        raise _occupied(target)
    disk.sync_path(target)
    disk.sync_directory(target.parent)
    disk.remove(path)


def _copy(disk: Disk, path: Path, target: Path, sha256: str) -> None:
    """Copy a file to another file system, compare the copy, and give it its name."""
    fresh = target.with_name(target.name + MOVING_SUFFIX)
    fresh.unlink(missing_ok=True)  # left by a crash
    fd = disk.create(fresh)
    try:
        with open(open_regular(path, os.O_RDONLY), "rb") as source:
            for piece in _pieces(source.fileno()):
                disk.append(fd, piece)
            stat = os.fstat(source.fileno())
        disk.sync(fd)
        if digest(fresh) != sha256:
            raise DeedboxError(
                f"{fresh}: the copy differs from {path}", "check the disks; the archive stays where it is"
            )
        os.utime(fresh, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        disk.make_read_only(fd)
        disk.rename(fresh, target)
    except FileExistsError:
        raise _occupied(target) from None
    finally:
        disk.close(fd)
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    disk.sync_waiting()  # the original is removed next


def _pieces(fd: int) -> Iterator[bytes]:
    while piece := os.read(fd, COPY_BYTES):
        yield piece


def copy_side_files(disk: Disk, root: Path, path: Path, archive: naming.ArchiveId, directory: Path) -> None:
    """Copy the files beside an archive, and those above it up to `root`, to the directory. Lines that are there already are kept."""
    for suffix, files in side_files(root, path, archive).items():
        target = directory / f"{archive}{suffix}"
        known = target.read_bytes() if target.exists() else b""
        lines = dict.fromkeys(
            [*known.splitlines(), *(line for file in files for line in file.read_bytes().splitlines())]
        )
        wanted = b"".join(line + b"\n" for line in lines)
        if wanted != known:
            disk.replace(target, wanted)


@contextmanager
def deletions_locked(disk: Disk, path: Path, archive: naming.ArchiveId) -> Iterator[None]:
    """Keep other processes from deleting events of the archive, and from compacting it. Raises DeedboxError if one does so now."""
    lock = path.parent / f"{archive}{DELETED_LOCK}"
    with held(disk, lock) as free:
        if not free:
            raise DeedboxError(
                f"{path}: another process deletes events of it or compacts it", "try again when it has ended"
            )
        yield


def _occupied(target: Path) -> DeedboxError:
    return DeedboxError(f"{target}: a file with other content is there", "move it away; it is not replaced")
