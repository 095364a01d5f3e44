"""The URL of an object, or of a prefix of objects, as a value. Pure.

Invariant: `ObjectUrl.parse(str(url)) == url`, except for the URL of a local directory. An ObjectUrl has no `__fspath__`, so that it is never used as a local path by mistake.
"""

import re
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self
from urllib.parse import unquote

SCHEMES = ("s3", "gs", "az", "memory")  # memory: within one process, for tests
_REFUSED = re.compile(r"[\x00-\x1f\x7f\\]")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SIGNED = re.compile(r"\?.*(signature|credential|token|secret|password|\bsig)=", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Listed(NamedTuple):
    """What a listing showed of an object. `beside`: names of the objects in the same folder that belong to it; None: unknown."""

    size: int
    etag: str | None
    beside: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, order=True)
class ObjectUrl:
    """`scheme://bucket/key`. `key`: without a slash at the beginning or end; empty for the whole bucket.

    The URL holds the key as it is, not percent-encoded, as the tools of the object storages print it.
    `listed`: what a listing showed of the object, so that no request asks for it again, or the error of the listing. It is no part of the value.
    """

    scheme: str
    bucket: str
    key: str = ""
    listed: Listed | OSError | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.key}" if self.key else "")

    def __truediv__(self, part: str) -> Self:
        return type(self)(self.scheme, self.bucket, f"{self.key}/{part}" if self.key else part)

    @property
    def name(self) -> str:
        """The last part of the key; the bucket if there is no key."""
        return self.key.rpartition("/")[2] or self.bucket

    @property
    def parent(self) -> Self:
        """The URL without the last part of the key; the bucket is its own parent."""
        return type(self)(self.scheme, self.bucket, self.key.rpartition("/")[0])

    @property
    def parents(self) -> tuple[Self, ...]:
        """All URLs above this one, the nearest first."""
        found, here = [], self
        while here.key:
            here = here.parent
            found.append(here)
        return tuple(found)

    def listed_as(self, listed: Listed | OSError | None) -> Self:
        """The same URL with what a listing showed of it; None: nothing is known."""
        return replace(self, listed=listed)

    def with_name(self, name: str) -> Self:
        """The URL beside this one with another last part."""
        return self.parent / name

    def relative(self, below: Self) -> str:
        """The key of `self` counted from the prefix `below`. Raises ValueError if it is not below it."""
        if (self.scheme, self.bucket) == (below.scheme, below.bucket):
            if not below.key:
                return self.key
            if self.key.startswith(below.key + "/"):
                return self.key[len(below.key) + 1 :]
        raise ValueError(f"{self} is not below {below}")

    @classmethod
    def of_directory(cls, directory: str) -> Self:
        """The URL of a local directory as a bucket: `file:///srv/keep/KEY`. `directory`: an absolute path."""
        return cls("file", directory.rstrip("/"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The URL of a text such as `s3://bucket/prefix`. Raises ValueError, which says what is expected."""
        scheme, found, rest = text.partition("://")
        scheme = scheme.lower()
        if not found or scheme not in SCHEMES:
            raise ValueError(
                f"{text!r}: expected a URL such as s3://BUCKET/PREFIX, gs://…, az://… or file:///DIRECTORY"
            )
        bucket, _, key = rest.partition("/")
        if "@" in bucket or _SIGNED.search(key):  # it is not shown: it has a secret
            raise ValueError(
                f"{scheme}://…: the URL has a key or a signature; set the keys with AWS_* variables or [objects]"
            )
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(f"{text!r}: expected {scheme}://BUCKET/PREFIX, without user, port or query")
        key = key.strip("/")
        if key and not is_key(key):
            raise ValueError(f"{text!r}: the key has an empty part, '.', '..', a control character or a backslash")
        return cls(scheme, bucket, key)


def is_key(key: str) -> bool:
    """Whether a URL may have this key. Some storages refuse control characters, and SeaweedFS takes a backslash for a slash."""
    return not (_REFUSED.search(key) or {"", ".", ".."} & set(key.split("/")))


def is_url(text: str) -> bool:
    """Whether a text is meant as a URL and not as a path."""
    return _URL.match(text) is not None


def local_path(text: str) -> str | None:
    """The path of a `file://` URL; None for any other text. Raises ValueError for a host in the URL."""
    if not text.lower().startswith("file://"):
        return None
    path = text[len("file://") :]
    if not path.startswith("/"):
        raise ValueError(f"{text!r}: expected file:///ABSOLUTE/PATH")
    return unquote(path)
