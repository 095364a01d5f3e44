"""Objects in a local directory, with the interface of a remote store: a file is an object, and its path is the key.

Invariants: an object is durable when `put` or `put_stream` returns, and its name never holds a part of it. A file that is being
written has a name that begins with a point and ends with `.part`; listings leave it out. Attributes are extended attributes of the
file; where the file system has none, `sha256` is computed from the content.
"""

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from consumer.disk.durable import Disk, is_held, open_regular
from consumer.objects.errors import (
    AccessDenied,
    AlreadyThere,
    BucketMissing,
    NoSpace,
    NotFound,
    ObjectError,
    SizeMismatch,
    TooLarge,
    replaced,
)
from consumer.objects.store import GET_BYTES_MAX, Raws, StoredObject
from consumer.objects.url import ObjectUrl

PART = ".part"
ORPHAN_S = 3600.0  # a part of this age that no process has locked is left from a crash
_NAMESPACE = "user.deedbox."
_CHUNK_BYTES = 1 << 20
_NO_ATTRIBUTES = {errno.ENOTSUP, errno.ENODATA, errno.EPERM}
_KINDS: dict[int | None, type[ObjectError]] = {
    errno.ENOENT: NotFound,
    errno.ENOTDIR: NotFound,
    errno.EACCES: AccessDenied,
    errno.EPERM: AccessDenied,
    errno.EEXIST: AlreadyThere,
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
}


class DirectoryStore:
    """A `Store` of one directory, which must exist: if its disk is not mounted, nothing is written in its place."""

    def __init__(self, directory: str, disk: Disk | None = None) -> None:
        self._directory = Path(directory)
        self._disk = disk or Disk()

    def _path(self, url: ObjectUrl) -> Path:
        if ".." in url.key.split("/"):
            raise ObjectError(url, "the key has a part '..'")
        path = self._directory / url.key
        folders = path.relative_to(self._directory).parents[:-1]  # the directory itself was named by its owner
        if link := next((folder for folder in folders if (self._directory / folder).is_symlink()), None):
            what = f"its folder {link} is a symbolic link, which may lead to the original"
            raise ObjectError(url, what, "replace the link by a folder of its own")
        return path

    def list(self, below: ObjectUrl) -> Iterator[StoredObject]:
        """As `Store.list`. Symbolic links and special files are left out."""
        self._check_directory(below)
        with _translated(below):
            yield from self._below(self._path(below), below)

    def _below(self, directory: Path, url: ObjectUrl) -> Iterator[StoredObject]:
        """The objects of a directory and of those in it, in the order of the bytes of the keys: `a-b` before `a/b`."""
        try:
            entries = list(os.scandir(directory))
        except (FileNotFoundError, NotADirectoryError):
            return
        named = [(entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in entries]
        for name, entry in sorted(named, key=lambda one: os.fsencode(one[0])):
            if name.endswith("/"):
                yield from self._below(directory / entry.name, url / entry.name)
            elif entry.is_file(follow_symlinks=False) and not _is_part(name):
                with suppress(FileNotFoundError):  # removed in the meantime
                    yield _found(url / name, entry.stat(follow_symlinks=False))

    def head(self, url: ObjectUrl) -> tuple[StoredObject, dict[str, str]] | None:
        """As `Store.head`."""
        self._check_directory(url)
        try:
            with _translated(url), _opened(self._path(url)) as fd:
                return _found(url, os.fstat(fd)), _attributes(fd)
        except NotFound:
            return None

    def read(self, url: ObjectUrl, offset: int, size: int, etag: str | None = None) -> bytes:
        """As `Store.read`."""
        self._check_directory(url)
        with _translated(url), _opened(self._path(url)) as fd:
            if etag not in (None, _found(url, os.fstat(fd)).etag):
                raise replaced(url)
            return os.pread(fd, size, offset)

    def read_many(self, url: ObjectUrl, ranges: Sequence[tuple[int, int]]) -> Raws:
        """As `Store.read_many`."""
        self._check_directory(url)
        with _translated(url), _opened(self._path(url)) as fd:
            return [os.pread(fd, size, offset) for offset, size in ranges]

    def get(self, url: ObjectUrl) -> bytes:
        """As `Store.get`."""
        self._check_directory(url)
        with _translated(url), _opened(self._path(url)) as fd:
            if (size := os.fstat(fd).st_size) > GET_BYTES_MAX:
                raise TooLarge(url, f"it has {size} bytes; at most {GET_BYTES_MAX} are read at once")
            return b"".join(_chunks(fd))

    def put(self, url: ObjectUrl, raw: bytes, attributes: Mapping[str, str], only_new: bool = False) -> None:
        """As `Store.put`; durable when it returns."""
        self.put_stream(url, [raw], len(raw), attributes, only_new)

    def put_stream(
        self, url: ObjectUrl, chunks: Iterable[bytes], size: int, attributes: Mapping[str, str], only_new: bool = False
    ) -> None:
        """As `Store.put_stream`; durable when it returns."""
        self._check_directory(url)
        path = self._path(url)
        if only_new and path.exists():
            raise AlreadyThere(url, "an object of this name exists")
        fresh = path.with_name(f".{uuid4().hex}{PART}")
        with _translated(url):
            self._disk.make_directory(path.parent)
            _remove_orphans(path.parent)
            fd = self._disk.create(fresh)
        try:
            _set_attributes(url, fd, attributes)
            self._write(url, fd, chunks, size)
            with _translated(url):
                self._disk.publish(fd, fresh, path, replace=not only_new)
        finally:
            fresh.unlink(missing_ok=True)
            self._disk.close(fd)

    def _write(self, url: ObjectUrl, fd: int, chunks: Iterable[bytes], size: int) -> None:
        seen = 0
        for chunk in chunks:
            seen += len(chunk)
            if seen > size:
                break
            with _translated(url):
                self._disk.append(fd, chunk)
        if seen != size:
            raise SizeMismatch(url, f"{seen} bytes to upload, {size} expected", "the file changed; upload it again")

    def delete(self, url: ObjectUrl) -> None:
        """As `Store.delete`; durable when it returns."""
        self._check_directory(url)
        with suppress(NotFound), _translated(url):
            self._disk.remove(self._path(url))

    def _check_directory(self, url: ObjectUrl) -> None:
        if not self._directory.is_dir():
            what = f"the directory {self._directory} does not exist"
            raise BucketMissing(url, what, "create it, or mount its disk")


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(PART)


def _remove_orphans(directory: Path) -> None:
    """Remove the parts that a crash has left."""
    for entry in os.scandir(directory):
        if _is_part(entry.name):
            with suppress(FileNotFoundError):
                age_s = time.time() - entry.stat(follow_symlinks=False).st_mtime
                if age_s > ORPHAN_S and not is_held(Path(entry.path)):
                    os.unlink(entry.path)


@contextmanager
def _translated(url: ObjectUrl) -> Iterator[None]:
    """Errors of the kernel as errors of the object."""
    try:
        yield
    except ObjectError:
        raise
    except OSError as error:
        kind = _KINDS.get(error.errno, ObjectError)
        reason = "there is no object of this name" if kind is NotFound else error.strerror or str(error)
        raise kind(url, reason) from error


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    if path.is_dir():  # a folder of objects is no object
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    fd = open_regular(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def _found(url: ObjectUrl, status: os.stat_result) -> StoredObject:
    if not stat.S_ISREG(status.st_mode):
        raise NotFound(url, "is not a regular file")
    etag = f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"
    return StoredObject(url, status.st_size, etag, status.st_mtime_ns // 1000)


def _chunks(fd: int) -> Iterator[bytes]:
    offset = 0
    while chunk := os.pread(fd, _CHUNK_BYTES, offset):
        yield chunk
        offset += len(chunk)


def _attributes(fd: int) -> dict[str, str]:
    """The attributes of an open file; without extended attributes, its SHA-256."""
    if names := [name for name in _attribute_names(fd) if name.startswith(_NAMESPACE)]:
        return {name.removeprefix(_NAMESPACE): os.getxattr(fd, name).decode(errors="replace") for name in names}
    content = sha256()
    for chunk in _chunks(fd):
        content.update(chunk)
    return {"sha256": content.hexdigest()}


def _attribute_names(fd: int) -> Sequence[str]:
    try:
        return os.listxattr(fd)
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            raise
        return ()


def _set_attributes(url: ObjectUrl, fd: int, attributes: Mapping[str, str]) -> None:
    """Before any content is written, so that the attributes are durable with it."""
    for name, value in attributes.items():
        try:
            os.setxattr(fd, _NAMESPACE + name, value.encode())
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTES:
                raise ObjectError(url, error.strerror or str(error)) from error
