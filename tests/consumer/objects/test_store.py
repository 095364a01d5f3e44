"""The contract of stores, on real storages."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from consumer.objects.errors import AlreadyThere, NotFound, ObjectError, Replaced, SizeMismatch
from consumer.objects.store import Store
from consumer.objects.url import ObjectUrl

MIB = 1 << 20
ATTRIBUTES = {"sha256": "ab" * 32, "original": "cd" * 32}


def test_an_object_is_read_as_it_was_written(store: Store, base: ObjectUrl) -> None:
    url = base / "day" / "one.kvp.zst"
    before_us = time.time_ns() // 1000
    store.put(url, b"content", ATTRIBUTES)
    assert store.get(url) == b"content"
    found = store.head(url)
    assert found is not None
    info, attributes = found
    assert (info.url, info.size, attributes) == (url, 7, ATTRIBUTES)
    assert before_us - 2_000_000 <= info.modified_us <= time.time_ns() // 1000 + 2_000_000


def test_an_object_in_parts_is_read_as_it_was_written(store: Store, base: ObjectUrl) -> None:
    url = base / "large"
    chunks = [bytes([number]) * MIB for number in range(21)] + [b"end"]
    store.put_stream(url, iter(chunks), 21 * MIB + 3, ATTRIBUTES)
    found = store.head(url)
    assert found is not None
    assert (found[0].size, found[1]) == (21 * MIB + 3, ATTRIBUTES)
    assert hashlib.sha256(store.get(url)).digest() == hashlib.sha256(b"".join(chunks)).digest()


def test_ranges_are_short_only_at_the_end(store: Store, base: ObjectUrl) -> None:
    url = base / "digits"
    store.put(url, b"0123456789", {})
    assert store.read(url, 2, 3) == b"234"
    assert store.read(url, 8, 5) == b"89"
    assert store.read(url, 10, 5) == b""
    assert store.read(url, 99, 5) == b""
    assert store.read(url, 3, 0) == b""
    assert store.read_many(url, [(8, 5), (0, 1), (3, 0), (99, 1), (1, 2)]) == [b"89", b"0", b"", b"", b"12"]
    assert store.read_many(url, [(9, 4), (0, 2)]) == [b"9", b"01"]
    assert store.read_many(url, []) == []


def test_a_range_of_a_replaced_object_is_refused(store: Store, base: ObjectUrl) -> None:
    url = base / "replaced"
    store.put(url, b"0123456789", {})
    (listed,) = store.list(base)
    assert store.read(url, 2, 3, listed.etag) == b"234"
    store.put(url, b"abcdef", {})
    for offset in (2, 8):
        with pytest.raises(Replaced):
            store.read(url, offset, 3, listed.etag)
    assert store.read(url, 2, 3) == b"cde"
    store.delete(url)
    with pytest.raises(NotFound):
        store.read(url, 2, 3, listed.etag)


@pytest.mark.parametrize("size", [1, 20 * MIB])
def test_a_failing_upload_leaves_no_object(store: Store, base: ObjectUrl, size: int) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(size // MIB):
            yield bytes(MIB)
        raise RuntimeError("the file cannot be read")

    with pytest.raises(RuntimeError, match="the file cannot be read"):
        store.put_stream(base / "failing", chunks(), size, {})
    assert store.head(base / "failing") is None
    assert list(store.list(base)) == []


@pytest.mark.parametrize(("announced", "sent"), [(9, 10), (10, 9), (20 * MIB, 21 * MIB), (20 * MIB, 19 * MIB)])
def test_an_upload_of_another_size_leaves_no_object(store: Store, base: ObjectUrl, announced: int, sent: int) -> None:
    chunks = (bytes(min(MIB, sent)) for _ in range(max(1, sent // MIB)))
    with pytest.raises(SizeMismatch, match=f"{announced} expected"):
        store.put_stream(base / "other", chunks, announced, {})
    assert store.head(base / "other") is None
    assert list(store.list(base)) == []


def test_an_object_is_replaced_unless_it_must_be_new(store: Store, base: ObjectUrl) -> None:
    url = base / "object"
    store.put(url, b"first", {"sha256": "1"}, only_new=True)
    for put in (
        store.put,
        lambda *arguments, **named: store.put_stream(arguments[0], [arguments[1]], 6, *arguments[2:], **named),
    ):
        with pytest.raises(AlreadyThere) as caught:
            put(url, b"second", {"sha256": "2"}, only_new=True)
        assert (caught.value.filename, isinstance(caught.value, FileExistsError)) == (str(url), True)
    with pytest.raises(AlreadyThere):
        store.put_stream(url, [bytes(MIB)] * 20, 20 * MIB, {}, only_new=True)
    assert store.get(url) == b"first"
    store.put(url, b"third", {"sha256": "3"})
    found = store.head(url)
    assert (store.get(url), found and found[1]) == (b"third", {"sha256": "3"})


def test_a_listing_is_recursive_and_sorted_by_the_bytes_of_the_keys(store: Store, base: ObjectUrl) -> None:
    keys = ["a", "a-b/x", "b/2", "b/10", "b/1/deep/er", "bc", "b-", "ä/ö", "z z/%41+&=", "Z"]
    for key in keys:
        store.put(base / key, key.encode(), {})
    assert [one.url.key for one in store.list(base)] == sorted(keys, key=str.encode)
    assert [one.url.key for one in store.list(base / "b")] == ["b/1/deep/er", "b/10", "b/2"]
    assert [one.size for one in store.list(base / "ä")] == [5]
    assert list(store.list(base / "missing")) == []
    assert list(store.list(base / "a")) == []  # an object is not below itself
    assert [store.get(base / key) for key in keys] == [key.encode() for key in keys]


def test_a_deleted_object_is_gone(store: Store, base: ObjectUrl) -> None:
    store.put(base / "object", b"", {})
    assert (store.get(base / "object"), store.read(base / "object", 0, 9)) == (b"", b"")
    store.delete(base / "object")
    store.delete(base / "object")
    assert store.head(base / "object") is None


def test_a_missing_object_is_a_missing_file(store: Store, base: ObjectUrl) -> None:
    for read in (store.get, lambda url: store.read(url, 0, 1), lambda url: store.read_many(url, [(0, 1), (5, 2)])):
        with pytest.raises(NotFound) as caught:
            read(base / "missing")
        assert isinstance(caught.value, FileNotFoundError)
        assert str(caught.value) == f"{base}/missing: there is no object of this name"


@pytest.mark.parametrize("part", ["a b", "a%41b", "%2F", "a+b&c=d", "a#b?c", "x\'y\"z", "~*[x]^`{|}<y>", "...", ".hidden", "a:b@c",
                                  " lead", "trail ", "\u6f22\u5b57", "e\u0301", "\U0001f600", "x" * 255])  # fmt: skip
def test_every_character_of_a_key_is_kept(store: Store, base: ObjectUrl, part: str) -> None:
    url = base / part / part
    store.put(url, b"content", {})
    assert (store.get(url), store.read(url, 1, 2)) == (b"content", b"on")
    assert [one.url for one in store.list(base)] == [one.url for one in store.list(base / part)] == [url]
    store.delete(url)
    assert (store.head(url), list(store.list(base))) == (None, [])


def test_a_key_that_a_storage_refuses_is_an_error_of_the_object(store: Store, base: ObjectUrl) -> None:
    with pytest.raises(ObjectError) as caught:
        store.put(base / ".." / "key", b"", {})
    assert caught.value.filename == f"{base}/../key"


def test_many_threads_read_one_object(store: Store, base: ObjectUrl) -> None:
    raw = bytes(range(256)) * 4096
    store.put(base / "object", raw, {})
    offsets = [number * 4099 % len(raw) for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        pieces = list(pool.map(lambda offset: store.read(base / "object", offset, 1000), offsets))
    assert pieces == [raw[offset : offset + 1000] for offset in offsets]


def test_an_object_that_is_replaced_is_never_a_mixture(store: Store, base: ObjectUrl) -> None:
    versions = [bytes([number]) * 100_000 for number in range(8)]
    store.put(base / "object", versions[0], {})
    with ThreadPoolExecutor(4) as pool:
        puts = [pool.submit(store.put, base / "object", raw, {}) for raw in versions]
        reads = [pool.submit(store.get, base / "object") for _ in range(50)]
    assert [one.result() for one in puts] == [None] * len(versions)
    assert {one.result() for one in reads} <= set(versions)
