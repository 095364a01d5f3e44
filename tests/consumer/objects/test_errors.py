"""Errors of object storage are errors of files, too."""

import errno
import pickle

import pytest

from consumer.errors import DeedboxError
from consumer.objects.errors import AccessDenied, NotFound, ObjectError, TimedOut
from consumer.objects.url import ObjectUrl

URL = ObjectUrl("s3", "bucket", "a/b")


@pytest.mark.parametrize(
    ("kind", "code", "family"),
    [(NotFound, errno.ENOENT, FileNotFoundError), (AccessDenied, errno.EACCES, PermissionError),
     (TimedOut, errno.ETIMEDOUT, TimeoutError), (ObjectError, errno.EIO, OSError)],
)  # fmt: skip
def test_an_error_is_the_error_of_a_file(kind: type[ObjectError], code: int, family: type[OSError]) -> None:
    error = kind(URL, "no answer", "try again")
    assert isinstance(error, family)
    assert isinstance(error, DeedboxError)
    assert (error.errno, error.filename, error.strerror) == (code, "s3://bucket/a/b", "no answer")
    assert (error.what, error.do) == ("s3://bucket/a/b: no answer", "try again")
    assert str(error) == "s3://bucket/a/b: no answer; try again"


def test_an_error_reaches_another_process_unchanged() -> None:
    error = pickle.loads(pickle.dumps(NotFound(URL, "gone", "look elsewhere")))
    assert (type(error), error.url, str(error)) == (NotFound, URL, "s3://bucket/a/b: gone; look elsewhere")
