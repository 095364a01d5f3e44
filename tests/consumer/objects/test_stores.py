"""The store of a URL."""

import os

import pytest

from consumer.objects.errors import ObjectError
from consumer.objects.settings import ObjectsSection
from consumer.objects.stores import configure, configured, store_of
from consumer.objects.url import ObjectUrl
from tests.support.s3 import S3


def test_a_bucket_has_one_store_until_the_settings_change(bucket: ObjectUrl) -> None:
    first = store_of(bucket)
    assert store_of(bucket / "key") is first
    assert store_of(ObjectUrl("s3", "other")) is not first
    settings = configured()
    configure(settings)
    assert store_of(bucket) is not first


def test_the_usual_variables_are_enough(seaweedfs: S3, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(ObjectsSection())
    for name, value in seaweedfs.environ().items():
        monkeypatch.setenv(name, value)
    store_of(bucket).put(bucket / "key", b"content", {})
    assert store_of(bucket).get(bucket / "key") == b"content"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of newer Pythons; that it is dangerous is the subject
def test_a_fork_of_a_process_with_connections_is_refused(bucket: ObjectUrl) -> None:
    store_of(bucket).put(bucket / "key", b"content", {})
    read, write = os.pipe()
    if not (child := os.fork()):
        try:
            store_of(bucket)
        except ObjectError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with open(read, "rb") as answer:
        assert b"forked" in answer.read()
