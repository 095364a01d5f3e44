"""Errors of object storage: each kind is also the OSError of the same meaning, so that readers of files handle both in one place.

Invariants: `filename` is the URL, `strerror` is plain English, and the text says what to do. An error can be pickled.
"""

import errno
from typing import ClassVar, Self

from consumer.errors import DeedboxError
from consumer.objects.url import ObjectUrl


class ObjectError(DeedboxError, OSError):
    """A request to an object storage failed. `url`: the object, prefix or bucket. `reason`: the failure. `do`: the action that resolves it.

    `passing`: whether the same request may succeed later without any action.
    """

    code: ClassVar[int] = errno.EIO
    passing: ClassVar[bool] = False

    def __init__(self, url: ObjectUrl, reason: str, do: str = "") -> None:
        OSError.__init__(self, self.code, reason, str(url))
        self.url = url
        self.reason = reason
        self.what = f"{url}: {reason}"
        self.do = do

    def __str__(self) -> str:
        return f"{self.what}; {self.do}" if self.do else self.what

    def __reduce__(self) -> tuple[type[Self], tuple[ObjectUrl, str, str]]:
        return type(self), (self.url, self.reason, self.do)


class NotFound(ObjectError, FileNotFoundError):
    """There is no object of this name."""

    code = errno.ENOENT


class BucketMissing(ObjectError):
    """There is no such bucket; for a local directory: the directory does not exist."""


class Replaced(ObjectError):
    """The object is not the one that was read before: another object has its name now."""

    code = errno.ESTALE


def replaced(url: ObjectUrl) -> Replaced:
    """The error of an object that has another etag than before."""
    return Replaced(url, "the object was replaced while it was read", "run the command again")


class AlreadyThere(ObjectError, FileExistsError):
    """The condition of `only_new` failed: an object of this name exists."""

    code = errno.EEXIST


class AccessDenied(ObjectError, PermissionError):
    """The storage does not accept the credentials, or they do not permit the request."""

    code = errno.EACCES


class PermissionNeeded(AccessDenied):
    """The storage accepts the credentials, as far as it says, and they do not permit the request."""


class TimedOut(ObjectError, TimeoutError):
    """No answer came in time, and neither did one to the retries."""

    code = errno.ETIMEDOUT
    passing = True


class Unreachable(ObjectError, ConnectionError):
    """No connection, or the connection broke, and so did those of the retries."""

    code = errno.ECONNREFUSED
    passing = True


class Unavailable(ObjectError):
    """The storage answered that it cannot serve the request now (status 429 or 5xx), also to the retries."""

    passing = True


class NoSpace(ObjectError):
    """The disk of a local directory is full, or its quota is used up."""

    code = errno.ENOSPC


class SizeMismatch(ObjectError):
    """The bytes to upload were more or fewer than announced. No object was made."""


class TooLarge(ObjectError):
    """The object is larger than the limit of `get`."""

    code = errno.EFBIG
