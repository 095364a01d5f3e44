"""Objects in a remote storage, apart from the contract of all stores."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from consumer.objects import remote
from consumer.objects.errors import TooLarge
from consumer.objects.remote import PARTS_MAX, part_bytes
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from tests.support.s3 import S3


def test_a_failing_upload_leaves_no_parts(seaweedfs: S3, bucket: ObjectUrl) -> None:
    with pytest.raises(RuntimeError):
        store_of(bucket).put_stream(bucket / "failing", _failing(), 64 << 20, {})
    status, answer = seaweedfs.request("GET", f"/{bucket.bucket}", {"uploads": ""})
    assert (status, b"<Upload>" in answer) == (200, False)


def _failing():
    yield from [bytes(1 << 20)] * 20
    raise RuntimeError("broken")


def test_an_object_that_is_too_large_for_memory_is_not_fetched(
    bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "GET_BYTES_MAX", 1000)
    store = store_of(bucket)
    store.put(bucket / "largest", bytes(1000), {})
    store.put(bucket / "larger", bytes(1001), {})
    assert len(store.get(bucket / "largest")) == 1000
    with pytest.raises(TooLarge, match="it has 1001 bytes; at most 1000 are read at once"):
        store.get(bucket / "larger")


def test_a_listing_goes_on_over_the_pages_of_the_storage(bucket: ObjectUrl) -> None:
    """S3 answers with 1,000 objects at most."""
    names = [f"{number:04}" for number in range(1005)]
    store = store_of(bucket)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: store.put(bucket / "day" / name, b"", {}), names))
    assert [one.url.name for one in store.list(bucket)] == names


@pytest.mark.parametrize("size", [1, 8 << 20, 8000 << 20, (8000 << 20) + 1, 1 << 40])
def test_no_object_has_more_parts_than_storages_accept(size: int) -> None:
    part = part_bytes(size, 8 << 20)
    assert part >= 8 << 20
    assert -(-size // part) <= PARTS_MAX
