"""Answers of a storage as errors that say what to do."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from consumer.objects.errors import AccessDenied, BucketMissing
from consumer.objects.store import Store
from consumer.objects.stores import configure, store_of
from consumer.objects.url import ObjectUrl
from tests.support.s3 import S3
from tests.support.storages import new_bucket


@pytest.fixture(params=["seaweedfs", "swift"])
def server(request: pytest.FixtureRequest) -> S3:
    """Each storage: they answer with texts of their own."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def place(server: S3) -> Iterator[ObjectUrl]:
    """A bucket of it."""
    yield from new_bucket(server)


ASK: list[Callable[[Store, ObjectUrl], object]] = [
    lambda store, url: store.get(url),
    lambda store, url: store.head(url),
    lambda store, url: store.put(url, b"", {}),
    lambda store, url: store.put_stream(url, [bytes(9 << 20)], 9 << 20, {}),
    lambda store, url: list(store.list(url)),
    lambda store, url: store.delete(url),
]


@pytest.mark.parametrize("ask", ASK)
def test_wrong_credentials_are_refused_at_once(
    server: S3, place: ObjectUrl, ask: Callable[[Store, ObjectUrl], object]
) -> None:
    started = time.monotonic()
    configure(replace(server, secret_key="wrong").settings())
    with pytest.raises(
        AccessDenied, match=r"the secret key is wrong; check objects\.secret_key or AWS_SECRET_ACCESS_KEY"
    ):
        ask(store_of(place), place / "key")
    configure(replace(server, access_key="wrong").settings())
    with pytest.raises(
        AccessDenied, match=r"the access key is unknown; check objects\.access_key|the secret key is wrong"
    ):
        ask(store_of(place), place / "key")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("ask", ASK)
def test_a_missing_bucket_is_no_missing_object(
    server: S3, place: ObjectUrl, ask: Callable[[Store, ObjectUrl], object]
) -> None:
    url = ObjectUrl("s3", "missing-bucket", "key")
    started = time.monotonic()
    with pytest.raises(
        BucketMissing, match="there is no bucket 'missing-bucket'; create it, or correct the URL"
    ) as caught:
        ask(store_of(url), url)
    assert not isinstance(caught.value, FileNotFoundError)
    assert time.monotonic() - started < 5
