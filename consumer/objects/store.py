"""What every store of objects can do. `consumer.objects.stores` gives the store of a URL.

Invariants: a store is safe for several threads. Every failure is an ObjectError of `consumer.objects.errors`. No reader ever sees
a part of an object: an object exists as a whole, or not at all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from consumer.objects.url import ObjectUrl

GET_BYTES_MAX = 64 << 20  # of `get`, which holds the object in memory
Raws = list[bytes]  # in a class with a method `list`, its name means the method


class StoredObject(NamedTuple):
    """An object in a listing. `modified_us`: the time of the storage, in microseconds since 1970 in UTC."""

    url: ObjectUrl
    size: int
    etag: str | None
    modified_us: int


class Store(Protocol):
    """The objects of one bucket, or of one local directory. Every method raises ObjectError."""

    def list(self, below: ObjectUrl) -> Iterator[StoredObject]:
        """All objects below a prefix, in the order of the bytes of their keys. `a/b` is a prefix of `a/b/c`, not of `a/bc` or of itself."""

    def head(self, url: ObjectUrl) -> tuple[StoredObject, dict[str, str]] | None:
        """The object and its attributes, with names in lower case. None if there is no such object."""

    def read(self, url: ObjectUrl, offset: int, size: int, etag: str | None = None) -> bytes:
        """`size` bytes from `offset` on, by one range request; fewer only at the end of the object.

        `etag`: raise Replaced if the object has another one.
        """

    def read_many(self, url: ObjectUrl, ranges: Sequence[tuple[int, int]]) -> Raws:
        """The bytes of several ranges (offset, size), by a few requests at the same time. Near ranges are fetched by one request."""

    def get(self, url: ObjectUrl) -> bytes:
        """A whole small object. Raises TooLarge if it has more than GET_BYTES_MAX bytes."""

    def put(self, url: ObjectUrl, raw: bytes, attributes: Mapping[str, str], only_new: bool = False) -> None:
        """Write a small object by one request; it replaces an object of the same name.

        `attributes`: names in lower case, values in ASCII. `only_new`: raise AlreadyThere if the object exists. This is a guard
        against mistakes and no lock: of two writers at the same time, both may succeed with some storages.
        """

    def put_stream(
        self, url: ObjectUrl, chunks: Iterable[bytes], size: int, attributes: Mapping[str, str], only_new: bool = False
    ) -> None:
        """Write an object of `size` bytes in constant memory: by one request if it is small, in parts otherwise.

        An exception of `chunks` is raised again, and no object is made. Raises SizeMismatch if the chunks are more or fewer bytes.
        `only_new`: as in `put`, but for an object in parts it is checked once, before the first part.
        """

    def delete(self, url: ObjectUrl) -> None:
        """Remove the object. A missing object is no error."""
