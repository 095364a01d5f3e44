"""The SHA-256 of an archive, read from its source."""

import hashlib
from pathlib import Path

from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.sha256 import sha256_of


def test_it_is_that_of_all_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for raw in (b"", b"abc", b"0123456789abcdef" * 200_000):
        path.write_bytes(raw)
        with ArchiveFile(path) as archive:
            assert sha256_of(archive) == hashlib.sha256(raw).hexdigest()
