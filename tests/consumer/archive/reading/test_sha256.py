"""The SHA-256 of an archive, read from its source."""

import hashlib
from pathlib import Path

from consumer.archive.reading.reader import ArchiveFile, open_at
from consumer.archive.reading.sha256 import sha256_from, sha256_of
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl


def test_it_is_that_of_all_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for raw in (b"", b"abc", b"0123456789abcdef" * 200_000):
        path.write_bytes(raw)
        with ArchiveFile(path) as archive:
            assert sha256_of(archive) == hashlib.sha256(raw).hexdigest()


def test_of_an_object_only_the_bytes_that_count_are_fetched(tmp_path: Path) -> None:
    raw = b"0123456789abcdef" * 200_000
    url = ObjectUrl("memory", tmp_path.name, "file")
    store_of(url).put(url, raw, {})
    with open_at(url) as archive:
        before = archive.bytes_read
        assert sha256_from(archive, len(raw) - 10) == hashlib.sha256(raw[-10:]).hexdigest()
        assert archive.bytes_read - before == 10
