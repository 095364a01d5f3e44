from pathlib import Path

import pytest

from codec.errors import CodecError
from consumer.archive.reading.reader import ArchiveFile, Seal
from consumer.archive.reading.tombstones import Tombstones
from consumer.archive.rewriting.rewrite import Change, rewrite
from consumer.disk.durable import Disk
from consumer.ship.footers import footer_checksum
from tests.support.shipping import seal


def checksum(path: Path) -> str:
    with ArchiveFile(path) as archive:
        return footer_checksum(archive)


def test_it_is_the_checksum_that_the_footer_has(tmp_path: Path) -> None:
    (path,) = seal(tmp_path, 1)
    with ArchiveFile(path) as archive:
        *_, end = archive.parts()
        assert isinstance(end, Seal)
        footer = archive.read(end.offset, archive.size - end.offset)
    assert bytes.fromhex(checksum(path)) in footer


def test_a_rewriting_has_another_one_also_if_the_batches_stay(tmp_path: Path) -> None:
    (path,) = seal(tmp_path, 1)
    before = checksum(path)
    rewrite(Disk(), path, Change(Tombstones(), 1 << 20, 12))
    assert checksum(path) != before


def test_a_file_without_a_seek_table_has_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    with pytest.raises(CodecError):
        checksum(tmp_path / "a")
