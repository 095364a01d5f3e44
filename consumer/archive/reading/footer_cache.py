"""A bounded cache of heads and footers of archives in object storage, as files that several processes and threads share.

Role: the catalog and `ls` open archives with it; what checks or copies archives never does. It holds no event: the index has times, types and
tags, and filters, from which no ID can be read. Invariants: an entry belongs to one version of an object, by URL, etag and size. An entry that is
damaged, or cannot be read or written, is as if it did not exist. Of entries that are too many, those that were not used for the longest time go.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path
from threading import Lock
from uuid import uuid4

from xxhash import xxh3_64_digest

from consumer.disk.durable import open_regular
from consumer.disk.syscalls import rename_noreplace
from consumer.objects.url import Listed, ObjectUrl

Piece = tuple[int, bytes]  # offset in the object, and content
ENTRY_BYTES_MAX = 4 << 20
PIECES_MAX = 64  # of an entry
_MAGIC = b"DEEDFTR1"
_COUNT = struct.Struct("<I")
_PIECE = struct.Struct("<QI")
_UNVERSIONED = ("memory", "file")  # their etags are not unique for ever


class FooterCache:
    """The cache in a directory. `bytes_max`: how much of the disk it may use; a process may exceed it by a sixteenth until it trims."""

    def __init__(self, directory: Path, bytes_max: int) -> None:
        self._directory, self._bytes_max = directory, bytes_max
        self._lock = Lock()
        self._written = bytes_max  # so that the first entry looks at what other processes left

    def pieces(self, url: ObjectUrl) -> list[Piece]:
        """What is known of this version of an object."""
        key = _key(url)
        if key is None:
            return []
        path = self._path(key)
        try:
            with open(open_regular(path, os.O_RDONLY), "rb") as file:
                raw = file.read(2 * ENTRY_BYTES_MAX)
            found = list(_decoded(raw, key))
            os.utime(path)
        except (OSError, ValueError, struct.error):
            return []
        return found

    def keep(self, url: ObjectUrl, pieces: Sequence[Piece]) -> None:
        """Keep the pieces of this version, instead of those that were kept before."""
        key = _key(url)
        kept = list(islice(_largest(pieces), PIECES_MAX))
        if key is None or sum(len(raw) for _, raw in kept) > ENTRY_BYTES_MAX:
            return
        raw = _encoded(kept, key)
        path = self._path(key)
        with suppress(OSError):
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
            _write(path, raw)
            self._note(len(raw))

    def _path(self, key: bytes) -> Path:
        name = sha256(key).hexdigest()
        return self._directory / name[:2] / name

    def _note(self, size: int) -> None:
        with self._lock:
            self._written += size
            if self._written > self._bytes_max // 16:
                self._written = 0
                self._trim()

    def _trim(self) -> None:
        """Remove what was not used for the longest time, until a tenth is free. Other processes may do the same."""
        found = sorted(_files(self._directory))
        over = sum(size for _, size, _ in found) - self._bytes_max
        if over <= 0:
            return
        over += self._bytes_max // 10
        for _, size, path in found:
            if over <= 0:
                break
            with suppress(OSError):
                os.unlink(path)
            over -= size


def _write(path: Path, raw: bytes) -> None:
    """Give a new file its name when it is whole. For a moment there may be none, which is as if nothing were cached."""
    fresh = path.with_name(f".{uuid4().hex}.new")
    try:
        with open(open_regular(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(raw)
        path.unlink(missing_ok=True)
        rename_noreplace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _files(directory: Path) -> Iterator[tuple[int, int, str]]:
    """The time of the last use, the space on the disk and the path of each file."""
    for folder in os.scandir(directory):
        if folder.is_dir(follow_symlinks=False):
            for entry in os.scandir(folder):
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    yield found.st_mtime_ns, max(found.st_size, found.st_blocks * 512), entry.path


def _key(url: ObjectUrl) -> bytes | None:
    """The version of an object; None if it is not known for sure."""
    listed = url.listed
    if not isinstance(listed, Listed) or not listed.etag or url.scheme in _UNVERSIONED:
        return None
    return f"{url}\n{listed.etag}\n{listed.size}".encode("utf-8", "surrogatepass")


def _largest(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces without those that are a part of another one, in their order."""
    seen: list[tuple[int, int]] = []
    ordered = sorted(enumerate(pieces), key=lambda one: -len(one[1][1]))
    kept = []
    for number, (offset, raw) in ordered:
        if not any(start <= offset and offset + len(raw) <= end for start, end in seen):
            seen.append((offset, offset + len(raw)))
            kept.append((number, (offset, raw)))
    return (piece for _, piece in sorted(kept))


def _encoded(pieces: Sequence[Piece], key: bytes) -> bytes:
    parts = [_COUNT.pack(len(key)), key]
    for offset, raw in pieces:
        parts += [_PIECE.pack(offset, len(raw)), raw]
    content = b"".join(parts)
    return _MAGIC + xxh3_64_digest(content) + content


def _decoded(raw: bytes, key: bytes) -> Iterator[Piece]:
    """The pieces of an entry. Raises ValueError and struct.error if it is damaged, or belongs to another object."""
    content = raw[16:]
    if raw[:8] != _MAGIC or raw[8:16] != xxh3_64_digest(content):
        raise ValueError("damaged")
    at = _COUNT.size + len(key)
    if content[:at] != _COUNT.pack(len(key)) + key:
        raise ValueError("another object")
    while at < len(content):
        offset, size = _PIECE.unpack_from(content, at)
        at += _PIECE.size + size
        yield offset, content[at - size : at]


class _InUse:
    """The cache of this process."""

    cache: FooterCache | None = None


def use_cache(cache: FooterCache | None) -> None:
    """Use a cache from now on, in this process; None: none, as at the start."""
    _InUse.cache = cache


def cache_in_use() -> FooterCache | None:
    """The cache of this process."""
    return _InUse.cache
