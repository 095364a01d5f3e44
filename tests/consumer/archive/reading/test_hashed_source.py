import hashlib
from pathlib import Path

import pytest

from consumer.archive.reading import hashed_source
from consumer.archive.reading.hashed_source import HashedSource
from consumer.archive.reading.source import FileSource

RAW = bytes(range(256)) * 5


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HashedSource:
    monkeypatch.setattr(hashed_source, "BLOCK_BYTES", 100)
    (tmp_path / "x").write_bytes(RAW)
    return HashedSource(FileSource(tmp_path / "x"))


@pytest.mark.parametrize(
    "reads",
    [[], [(0, 16), (0, 90), (90, 300)], [(1200, 200), (0, 1), (700, 50)], [(0, 10**6)], [(1280, 5), (99, 2), (100, 0)]],
    ids=["none", "in order", "from the end", "all at once", "at the edges"],
)
def test_the_sha256_is_that_of_all_bytes_whatever_was_read(source: HashedSource, reads: list[tuple[int, int]]) -> None:
    for offset, size in reads:
        assert source.read(offset, size) == RAW[offset : offset + size]
    assert source.sha256() == hashlib.sha256(RAW).hexdigest()
    source.close()


def test_what_is_read_in_order_is_read_once(source: HashedSource) -> None:
    for offset in range(0, len(RAW), 30):
        source.expect(offset, 30)
        source.read(offset, 30)
    source.sha256()
    assert source.bytes_read == len(RAW)
    source.close()


def test_memory_holds_a_few_blocks(source: HashedSource) -> None:
    """A block of the past is read again."""
    source.plan([(0, 10)])
    source.sha256()
    source.read(len(RAW) - 10, 10)
    assert source.bytes_read == len(RAW)
    source.read(0, 10)
    assert source.bytes_read == len(RAW) + 100
    source.close()
