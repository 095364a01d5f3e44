from pathlib import Path

import pytest

from consumer.archive.reading.tombstones import Tombstones
from consumer.archive.rewriting.rewrite import Change, rewrite
from consumer.disk.durable import Disk
from consumer.ship.local_archive import LocalArchive, NotAsSealed
from tests.support.shipping import seal, sha256


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (path,) = seal(tmp_path, 1, events=20)
    return path


def damage(path: Path, offset: int) -> None:
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 0xFF
    path.write_bytes(raw)


def test_an_archive_as_it_was_sealed_is_not_read_before_it_is_sent(path: Path) -> None:
    sealed = sha256(path)
    with LocalArchive(path, {sealed}) as archive:
        facts = archive.facts
        assert (facts.size, facts.sha256, facts.original) == (path.stat().st_size, sealed, sealed)
        assert archive.read_whole() == facts
        assert b"".join(archive.pieces()) == path.read_bytes()


def test_an_archive_without_a_record_is_read_before(path: Path) -> None:
    with LocalArchive(path, ()) as archive:
        assert archive.facts.sha256 is None
        assert archive.read_whole().sha256 == archive.read_whole().original == sha256(path)
        assert b"".join(archive.pieces()) == path.read_bytes()


def test_a_rewritten_archive_has_its_own_sha256_and_that_of_its_original(path: Path) -> None:
    before = sha256(path)
    footer = LocalArchive(path, ()).facts.footer
    rewrite(Disk(), path, Change(Tombstones(), 1 << 20, 12))
    with LocalArchive(path, {before}) as archive:
        facts = archive.read_whole()
    assert (facts.sha256, facts.original, facts.is_rewritten) == (sha256(path), before, True)
    assert sha256(path) != before
    assert facts.footer != footer


def test_a_changed_byte_is_noticed_before_the_last_piece(path: Path) -> None:
    sealed = sha256(path)
    damage(path, 300)
    with LocalArchive(path, {sealed}) as archive:
        pieces = archive.pieces()
        with pytest.raises(NotAsSealed, match=f"expected {sealed}"):
            next(pieces)


def test_a_changed_byte_is_noticed_without_a_record_too(path: Path) -> None:
    damage(path, 300)
    with LocalArchive(path, ()) as archive, pytest.raises(NotAsSealed, match="damaged at"):
        archive.read_whole()


def test_another_archive_than_the_record_names_is_refused(path: Path) -> None:
    rewrite(Disk(), path, Change(Tombstones(), 1 << 20, 12))
    with LocalArchive(path, {"0" * 64}) as archive, pytest.raises(NotAsSealed, match="sealed with"):
        archive.read_whole()


def test_records_that_differ_are_refused(path: Path) -> None:
    with LocalArchive(path, {sha256(path), "0" * 64}) as archive, pytest.raises(NotAsSealed, match="sealed with"):
        archive.read_whole()


def test_an_archive_without_a_footer_is_not_shipped(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(NotAsSealed, match="no footer can be read"):
        LocalArchive(path, ())


def test_an_archive_without_a_head_is_not_shipped(path: Path) -> None:
    damage(path, 20)
    with pytest.raises(NotAsSealed, match="head cannot be read"):
        LocalArchive(path, ())


def test_a_file_that_is_replaced_while_it_is_open_is_read_as_it_was(path: Path) -> None:
    before = path.read_bytes()
    with LocalArchive(path, ()) as archive:
        archive.read_whole()
        rewrite(Disk(), path, Change(Tombstones(), 1 << 20, 12))
        assert b"".join(archive.pieces()) == before


def test_a_file_that_is_cut_while_it_is_open_is_not_shipped(path: Path) -> None:
    with LocalArchive(path, {sha256(path)}) as archive:
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(NotAsSealed, match="too early"):
            list(archive.pieces())
