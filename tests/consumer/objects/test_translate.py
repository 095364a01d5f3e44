"""Answers of a storage as errors that say what to do."""

from dataclasses import replace

import pytest

from consumer.objects.errors import AccessDenied, BucketMissing
from consumer.objects.stores import configure, store_of
from consumer.objects.url import ObjectUrl
from tests.support.s3 import S3


def test_wrong_credentials_are_refused_at_once(seaweedfs: S3, bucket: ObjectUrl) -> None:
    configure(replace(seaweedfs, secret_key="wrong").settings())
    with pytest.raises(
        AccessDenied, match=r"the secret key is wrong; check objects\.secret_key or AWS_SECRET_ACCESS_KEY"
    ):
        store_of(bucket).put(bucket / "key", b"", {})
    configure(replace(seaweedfs, access_key="wrong").settings())
    with pytest.raises(AccessDenied, match="the access key is unknown"):
        store_of(bucket).put(bucket / "key", b"", {})


def test_a_missing_bucket_is_no_missing_object(bucket: ObjectUrl) -> None:
    url = ObjectUrl("s3", "missing-bucket", "key")
    store = store_of(url)
    for request in (store.get, lambda url: store.put(url, b"", {}), lambda url: list(store.list(url)), store.delete):
        with pytest.raises(BucketMissing, match="there is no bucket 'missing-bucket'; create it, or correct the URL"):
            request(url)
