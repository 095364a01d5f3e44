"""Objects in S3, Google Cloud Storage, Azure, or in the memory of this process, through obstore.

Invariant: an upload that fails leaves no object. Its parts are aborted if the storage can still be reached.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from consumer.objects.connect import connected, panics
from consumer.objects.errors import (
    AccessDenied,
    AlreadyThere,
    NotFound,
    ObjectError,
    PermissionNeeded,
    SizeMismatch,
    TooLarge,
    replaced,
)
from consumer.objects.settings import ObjectsSection
from consumer.objects.store import GET_BYTES_MAX, Raws, StoredObject
from consumer.objects.translate import ForeignKey, OutOfRange, translated
from consumer.objects.url import ObjectUrl, is_key

if TYPE_CHECKING:
    from obstore import Attributes, ObjectMeta

    from consumer.objects.raw_listing import RawEntry

NEAR_BYTES = 64 << 10  # ranges with a smaller gap are fetched by one request
PARTS_MAX = 1000  # of an object: Swift accepts this many by default, S3 10,000
_STANDARD = ("content-", "cache-control", "storage-class")  # attributes that are not the caller's
Result = TypeVar("Result")


class RemoteStore:
    """A `Store` of one bucket."""

    def __init__(self, url: ObjectUrl, settings: ObjectsSection) -> None:
        self._store = connected(url, settings)
        self._settings = settings
        self._bucket = ObjectUrl(url.scheme, url.bucket)
        self._bucket_exists = False  # as far as this process knows

    def _ask(self, url: ObjectUrl, request: Callable[..., Result], *arguments: Any, **named: Any) -> Result:  # noqa: ANN401 -- the arguments of any request
        """The result of a request of obstore. Raises ObjectError."""
        from obstore.exceptions import BaseError

        try:
            with panics(url):
                return request(self._store, *arguments, **named)
        except ObjectError:
            raise
        except (BaseError, OSError, ValueError) as error:  # ValueError: the key has a character that is refused
            raise translated(url, error) from error

    def list(self, below: ObjectUrl) -> Iterator[StoredObject]:
        """As `Store.list`. It is sorted here, in memory: Azure and SeaweedFS list in another order than S3."""
        try:
            found = list(self._entries(below))
        except ForeignKey:
            if below.scheme != "s3":
                raise
            from consumer.objects.raw_listing import (
                raw_listing,  # its imports take longer than a search in a few archives
            )

            entries = raw_listing(below, self._settings)
            found = [self._listed(entry) for entry in entries if _is_below(entry.key, below)]
        return iter(sorted(found, key=lambda one: one.url.key.encode()))

    def _entries(self, below: ObjectUrl) -> Iterator[StoredObject]:
        import obstore

        pages = iter(self._ask(below, obstore.list, below.key or None, chunk_size=1000))
        while page := self._ask(below, lambda _: next(pages, None)):
            for meta in page:
                if _is_below(meta["path"], below):
                    yield self._found(meta)

    def _listed(self, entry: "RawEntry") -> StoredObject:
        return StoredObject(self._bucket / entry.key, entry.size, entry.etag, entry.modified_us)

    def _found(self, meta: "ObjectMeta") -> StoredObject:
        modified_us = round(meta["last_modified"].timestamp() * 1e6)
        return StoredObject(self._bucket / meta["path"], meta["size"], meta["e_tag"], modified_us)

    def head(self, url: ObjectUrl) -> tuple[StoredObject, dict[str, str]] | None:
        """As `Store.head`, by one head request; a missing bucket is found out by a second one."""
        import obstore

        try:
            found = self._ask(url, obstore.get, url.key, options={"head": True})
        except NotFound:
            self._check_bucket(url)
            return None
        except AccessDenied:
            self._check_bucket(url)
            raise
        named = {name.lower(): value for name, value in found.attributes.items()}
        own = {name: value for name, value in named.items() if not name.startswith(_STANDARD)}
        return self._found(found.meta), own

    def _check_bucket(self, url: ObjectUrl) -> None:
        """Raise the error of a listing, if it has one: the answer to a head request has no body, and does not name the reason."""
        import obstore

        if not self._bucket_exists:
            with suppress(PermissionNeeded):
                self._ask(url, obstore.list_with_delimiter, url.key)
                self._bucket_exists = True

    def read(self, url: ObjectUrl, offset: int, size: int, etag: str | None = None) -> bytes:
        """As `Store.read`. The etag is compared here: not every storage knows the condition If-Match."""
        import obstore

        if size <= 0:
            return b""
        try:
            found = self._ask(url, obstore.get, url.key, options={"range": (offset, offset + size)})
        except OutOfRange:
            if etag is not None:
                raise replaced(url) from None
            return b""
        if etag not in (None, found.meta["e_tag"]):
            raise replaced(url)
        return bytes(self._ask(url, lambda _: found.bytes()))

    def read_many(self, url: ObjectUrl, ranges: Sequence[tuple[int, int]]) -> Raws:
        """As `Store.read_many`; ranges with a gap below NEAR_BYTES are fetched together."""
        import obstore

        starts, sizes = [offset for offset, _ in ranges], [size for _, size in ranges]
        if not starts or min(sizes) <= 0:
            return [self.read(url, *one) for one in ranges]
        try:
            ask = partial(self._ask, url, obstore.get_ranges, url.key)
            return [bytes(raw) for raw in ask(starts=starts, lengths=sizes, coalesce=NEAR_BYTES)]
        except OutOfRange:
            return [self.read(url, *one) for one in ranges]

    def get(self, url: ObjectUrl) -> bytes:
        """As `Store.get`."""
        import obstore

        found = self._ask(url, obstore.get, url.key)
        if found.meta["size"] > GET_BYTES_MAX:
            raise TooLarge(url, f"it has {found.meta['size']} bytes; at most {GET_BYTES_MAX} are read at once")
        return bytes(self._ask(url, lambda _: found.bytes()))

    def put(self, url: ObjectUrl, raw: bytes, attributes: Mapping[str, str], only_new: bool = False) -> None:
        """As `Store.put`."""
        import obstore

        mode = "create" if only_new else "overwrite"
        own: Attributes = dict(attributes)
        self._ask(url, obstore.put, url.key, raw, attributes=own, mode=mode, use_multipart=False)

    def put_stream(
        self, url: ObjectUrl, chunks: Iterable[bytes], size: int, attributes: Mapping[str, str], only_new: bool = False
    ) -> None:
        """As `Store.put_stream`. Parts in memory: `objects.parts` and one more."""
        import obstore

        checked = _of_size(url, chunks, size)
        if size <= self._settings.part_bytes:
            self.put(url, b"".join(checked), attributes, only_new)
            return
        if only_new and self.head(url) is not None:
            raise AlreadyThere(url, "an object of this name exists")
        part = part_bytes(size, self._settings.part_bytes)
        own: Attributes = dict(attributes)
        kept = _Kept(checked)
        try:
            self._ask(
                url, obstore.put, url.key, kept, attributes=own, chunk_size=part, max_concurrency=self._settings.parts
            )
        finally:
            if kept.error is not None:
                raise kept.error

    def delete(self, url: ObjectUrl) -> None:
        """As `Store.delete`."""
        import obstore

        try:
            self._ask(url, obstore.delete, url.key)
        except NotFound:
            return


def _is_below(key: str, below: ObjectUrl) -> bool:
    """Whether a URL may have the key, and it is below the prefix, which a storage may ignore."""
    return is_key(key) and (not below.key or key.startswith(below.key + "/"))


def part_bytes(size: int, least: int) -> int:
    """The size of a part of an object of `size` bytes: at least `least`, and so large that there are at most PARTS_MAX parts."""
    return max(least, -(-size // PARTS_MAX))


class _Kept:
    """An iterator that keeps the exception that ended it: it must reach the caller, and not the error that obstore makes of it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise


def _of_size(url: ObjectUrl, chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The chunks. Raises SizeMismatch when they are more, or at their end if they are fewer, than `size` bytes."""
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > size:
            break
        yield chunk
    if seen != size:
        raise SizeMismatch(url, f"{seen} bytes to upload, {size} expected", "the file changed; upload it again")
