"""ObjectSource: the bytes of an archive in object storage, by range requests.

Invariants: all bytes come from one version of the object: if it is replaced while it is read, reading raises Replaced. An object
that a listing showed is opened without a request.
"""

import errno
from collections.abc import Iterable
from pathlib import Path

from consumer.archive.location import Location
from consumer.archive.reading.footer_cache import FooterCache, Piece
from consumer.archive.reading.outages import answered
from consumer.archive.reading.read_ahead import ReadAhead
from consumer.archive.reading.source import FileSource, Source
from consumer.objects.store import Store
from consumer.objects.stores import store_of
from consumer.objects.url import Listed, ObjectUrl


def source_at(location: Location) -> Source:
    """The bytes at exactly this location. Raises OSError."""
    return FileSource(location) if isinstance(location, Path) else ObjectSource(location)


class ObjectSource:
    """An object. `size` is that of the object when it was listed or opened. Raises OSError if there is no such object.

    `cache`: has bytes of this version that were expected before, and gets those that are expected now.
    """

    def __init__(self, url: ObjectUrl, store: Store | None = None, cache: FooterCache | None = None) -> None:
        if isinstance(url.listed, OSError):
            raise url.listed
        self._store = store or store_of(url)
        listed = url.listed or _listed(self._store, url)
        self.location = url.listed_as(listed)
        self.size = listed.size
        self.bytes_read = 0
        self._cache = cache
        self._pieces: list[Piece] = cache.pieces(self.location) if cache else []
        self._cached = len(self._pieces)
        self._etag = listed.etag
        self._ahead: ReadAhead | None = None

    def read(self, offset: int, size: int) -> bytes:
        """As `Source.read`."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        if (raw := self._known(offset, size)) is not None:
            return raw
        if self._ahead is not None and (raw := self._ahead.read(offset, size)) is not None:
            return raw
        return self._fetch(offset, size)

    def expect(self, offset: int, size: int) -> None:
        """As `Source.expect`: one request for the whole range, unless it is known."""
        start = max(offset, 0)
        size = min(offset + size, self.size) - start
        if size > 0 and self._known(start, size) is None:
            self._pieces.append((start, self._fetch(start, size)))

    def plan(self, ranges: Iterable[tuple[int, int]]) -> None:
        """As `Source.plan`: the ranges are fetched by several requests at the same time."""
        self.close()
        self._ahead = ReadAhead(self._fetch, ranges)

    def close(self) -> None:
        """End the requests that were sent ahead, and keep what was expected in the cache. The store keeps its connections."""
        if self._cache is not None and len(self._pieces) > self._cached:
            self._cache.keep(self.location, self._pieces)
            self._cached = len(self._pieces)
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def _known(self, offset: int, size: int) -> bytes | None:
        for start, raw in self._pieces:
            if start <= offset and offset + size <= start + len(raw):
                return raw[offset - start : offset - start + size]
        return None

    def _fetch(self, offset: int, size: int) -> bytes:
        raw = answered(self.location, lambda: self._store.read(self.location, offset, size, self._etag))
        self.bytes_read += len(raw)
        return raw


def _listed(store: Store, url: ObjectUrl) -> Listed:
    found = answered(url, lambda: store.head(url))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "there is no object of this name", str(url))
    return Listed(found[0].size, found[0].etag)
