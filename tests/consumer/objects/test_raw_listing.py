"""Listings with keys of other programs, which obstore refuses."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest

from consumer.objects import raw_listing as module
from consumer.objects.errors import AccessDenied, ObjectError, Unavailable, Unreachable
from consumer.objects.raw_listing import raw_listing
from consumer.objects.stores import configure, configured, store_of
from consumer.objects.url import ObjectUrl
from tests.support.http_proxy import HttpProxy
from tests.support.s3 import S3
from tests.support.storages import new_bucket

KEYS = ["p/20261121/a b+c&d=ü%41", "p/.hold", "p/z", "pq", "20261121/x"]


@pytest.fixture
def place(swift: S3) -> Iterator[ObjectUrl]:
    """A bucket in Swift, which accepts every key."""
    yield from new_bucket(swift)


@pytest.mark.parametrize("foreign", ["p//x", "p/../q", "p/./x", "p/a\nb", "p/a\\b", "p/c//", "//p"])
def test_a_key_of_another_program_is_left_out_of_a_listing(swift: S3, place: ObjectUrl, foreign: str) -> None:
    store = store_of(place)
    for key in KEYS:
        store.put(place / key, key.encode(), {})
    expected = list(store.list(place))
    status, answer = swift.request("PUT", f"/{place.bucket}/{foreign}")
    assert status == 200, answer
    assert list(store.list(place)) == expected
    assert [one.url.key for one in expected] == sorted(KEYS, key=str.encode)
    assert [one.url.key for one in store.list(place / "p")] == ["p/.hold", "p/20261121/a b+c&d=ü%41", "p/z"]


@pytest.mark.parametrize("prefix", ["", "day"])
def test_it_goes_on_over_the_pages_and_equals_the_listing_of_the_library(bucket: ObjectUrl, prefix: str) -> None:
    store, below = store_of(bucket), bucket / prefix if prefix else bucket
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: store.put(bucket / "day" / f"{number:04} +&", b"x", {}), range(1005)))
    found = {(one.key, one.size, one.etag, one.modified_us) for one in raw_listing(below, configured())}
    assert found == {(one.url.key, one.size, one.etag, one.modified_us) for one in store.list(below)}
    assert len(found) == 1005


def test_its_failures_are_those_of_other_requests(seaweedfs: S3, bucket: ObjectUrl, proxy: HttpProxy) -> None:
    configure(seaweedfs.settings(proxy.port))
    store_of(bucket).put(bucket / "key", b"", {})
    proxy.answer(503)
    assert [one.key for one in raw_listing(bucket, configured())] == ["key"]
    proxy.answer(503, times=100)
    with pytest.raises(Unavailable, match="status 503, also to retries"):
        list(raw_listing(bucket, configured()))
    proxy.pass_on()
    proxy.answer(403)
    with pytest.raises(AccessDenied, match="check the credentials"):
        list(raw_listing(bucket, configured()))
    proxy.refuse()
    with pytest.raises(Unreachable) as caught:
        list(raw_listing(bucket, configured()))
    assert caught.value.passing
    proxy.pass_on()
    with pytest.raises(ObjectError):
        list(raw_listing(ObjectUrl("s3", "missing-bucket"), configured()))


@pytest.mark.parametrize(
    "body", [b"<html>", b"<ListBucketResult><Contents><Size>x</Size></Contents></ListBucketResult>"]
)
def test_an_answer_that_is_no_listing_is_an_error(
    bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(module, "urlopen", lambda *_, **__: BytesIO(body))
    with pytest.raises(ObjectError, match="the listing cannot be read"):
        list(raw_listing(bucket, configured()))


PAGE = (
    "<ListBucketResult><Contents><Key>k</Key><Size>1</Size><LastModified>{modified}</LastModified></Contents>"
    "<NextContinuationToken>again</NextContinuationToken></ListBucketResult>"
)


@pytest.mark.parametrize(
    ("modified", "fault"),
    [
        ("2026-11-28T00:00:00Z", "repeats its continuation token"),
        ("0001-01-01T00:00:00+14:00", "the listing cannot be read"),
    ],
)
def test_a_hostile_listing_ends_with_an_error(
    bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch, modified: str, fault: str
) -> None:
    monkeypatch.setattr(module, "urlopen", lambda *_, **__: BytesIO(PAGE.format(modified=modified).encode()))
    with pytest.raises(ObjectError, match=fault):
        list(raw_listing(bucket, configured()))


def test_a_page_without_an_end_is_not_read_into_memory(bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_BYTES_MAX", 1000)
    monkeypatch.setattr(module, "urlopen", lambda *_, **__: BytesIO(b" " * 1001))
    with pytest.raises(ObjectError, match="more than 1000 bytes"):
        list(raw_listing(bucket, configured()))
