"""The cache of footers, on SeaweedFS where the etags matter."""

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.archive.checking.verify import verify_archive
from consumer.archive.listing import find_archives
from consumer.archive.reading.catalog import Wanted, entries
from consumer.archive.reading.footer_cache import FooterCache, use_cache
from consumer.archive.reading.object_source import ObjectSource
from consumer.objects.stores import store_of
from consumer.objects.url import Listed, ObjectUrl
from tests.support.archive_logs import archive_log, some
from tests.support.copied import copy_to
from tests.support.counting_store import counted

URL = ObjectUrl("s3", "bucket", "day/archive").listed_as(Listed(1000, "etag"))
PIECES = [(0, b"head"), (900, b"x" * 100)]
WANTED = Wanted(ids=frozenset({"id-3"}))


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FooterCache]:
    """The cache of this process."""
    cache = FooterCache(tmp_path / "cache", 1 << 20)
    use_cache(cache)
    yield cache
    use_cache(None)


@pytest.fixture
def prefix(tmp_path: Path, bucket: ObjectUrl) -> ObjectUrl:
    """Three archives of 10 events."""
    log = archive_log(tmp_path / "archive")
    for first in (0, 10, 20):
        log.append(some(first, 10))
        log.roll("stop")
    copy_to(tmp_path / "archive", bucket)
    return bucket


def files(cache_folder: Path) -> list[Path]:
    return [path for path in cache_folder.rglob("*") if path.is_file()]


def test_what_was_kept_is_known_for_the_same_version_only(cache: FooterCache) -> None:
    cache.keep(URL, PIECES)
    assert cache.pieces(URL) == PIECES
    for other in (Listed(1001, "etag"), Listed(1000, "other"), Listed(1000, None), None):
        assert cache.pieces(URL.listed_as(other)) == []
    assert cache.pieces(ObjectUrl("s3", "bucket", "day/other").listed_as(URL.listed)) == []


def test_pieces_within_others_are_left_out(cache: FooterCache) -> None:
    cache.keep(URL, [(0, b"he"), *PIECES, (950, b"x" * 50)])
    assert cache.pieces(URL) == PIECES


@pytest.mark.parametrize("at", [0, 9, 30, -1])
def test_a_damaged_entry_is_no_entry(cache: FooterCache, tmp_path: Path, at: int) -> None:
    cache.keep(URL, PIECES)
    (path,) = files(tmp_path / "cache")
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    assert cache.pieces(URL) == []
    path.write_bytes(raw[:at])
    assert cache.pieces(URL) == []
    cache.keep(URL, PIECES)
    assert cache.pieces(URL) == PIECES


def test_a_folder_that_cannot_be_written_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = FooterCache(tmp_path / "file" / "cache", 1 << 20)
    cache.keep(URL, PIECES)
    assert cache.pieces(URL) == []


def test_a_link_in_the_place_of_an_entry_is_not_followed(cache: FooterCache, tmp_path: Path) -> None:
    cache.keep(URL, PIECES)
    (path,) = files(tmp_path / "cache")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.pieces(URL) == []


def test_entries_that_were_not_used_for_the_longest_time_go(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = FooterCache(folder, 200_000)
    urls = [URL.parent / f"{number}" for number in range(60)]
    urls = [url.listed_as(Listed(10_000, "etag")) for url in urls]
    for number, url in enumerate(urls):
        cache.keep(url, [(0, bytes(5000))])
        for path in files(folder):
            if not path.stat().st_mtime_ns % 1000:
                continue
            os.utime(path, ns=(0, number * 1_000_000))
        assert cache.pieces(urls[0]), number
    used = sum(path.stat().st_blocks * 512 for path in files(folder))
    assert used <= 200_000 * 17 // 16 + 8192
    assert cache.pieces(urls[59])
    assert not cache.pieces(urls[1])


def _keep_many(folder: Path) -> None:
    cache = FooterCache(folder, 100_000)
    for number in range(200):
        url = ObjectUrl("s3", "bucket", str(number % 20)).listed_as(Listed(10, "etag"))
        cache.keep(url, [(0, b"%d" % (number % 20) * 1000)])
        for _, raw in cache.pieces(url):
            assert raw == b"%d" % (number % 20) * 1000


def test_processes_share_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    workers = [context.Process(target=_keep_many, args=(tmp_path / "cache",)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert not list((tmp_path / "cache").rglob("*.new"))


def test_a_second_search_needs_no_request_for_the_indexes(
    prefix: ObjectUrl, cache: FooterCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [entry.batches for entry in entries([prefix], WANTED)]
    store = counted(monkeypatch, prefix)
    assert [entry.batches for entry in entries([prefix], WANTED)] == first
    assert store.requests == {"list": 1}


def test_a_replaced_object_never_gets_old_bytes(prefix: ObjectUrl, cache: FooterCache) -> None:
    assert len([*entries([prefix], Wanted())]) == 3
    first, second, _ = find_archives([prefix])
    store_of(first).put(first, store_of(second).get(second), {})
    names = [entry.identity for entry in entries([first], Wanted())]
    assert names == [("one-00000001", entry.identity[1]) for entry in entries([second], Wanted()) if entry.identity]


def test_restic_3097_verify_does_not_answer_from_the_cache(prefix: ObjectUrl, cache: FooterCache) -> None:
    """With a cache, some files were never checked. Here the object is damaged, and the cache has the right bytes for it."""
    first = find_archives([prefix])[0]
    raw = store_of(first).get(first)
    store_of(first).put(first, raw[:-30] + bytes(30), {})
    damaged = find_archives([prefix])[0]
    cache.keep(damaged, [(0, raw[:1024]), (len(raw) - 700, raw[-700:])])
    assert cache.pieces(damaged)
    source = ObjectSource(damaged, cache=cache)
    assert source.read(len(raw) - 30, 30) == raw[-30:], "readers use the cache"
    assert verify_archive(damaged).faults


def test_the_setting_0_turns_the_cache_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from consumer.archive.reading.footer_cache import cache_in_use
    from consumer.cli.parameters import StorageSettings

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    StorageSettings().apply([URL])
    assert cache_in_use() is not None
    StorageSettings(set=("objects.cache_bytes=0",)).apply([URL])
    assert cache_in_use() is None
