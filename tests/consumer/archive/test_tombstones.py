from pathlib import Path

import pytest

from consumer.archive.durable import Disk, held
from consumer.archive.naming import ArchiveId
from consumer.archive.tombstones import SUFFIX, Tombstone, Tombstones, bury, is_removed, removed
from consumer.errors import DeedboxError
from tests.support.shelves import event, some

ONE = ArchiveId("one", 1)


def tombstone(batch: int, index: int) -> Tombstone:
    return Tombstone(batch=batch, index=index, id="x", deleted="2026-11-21T16:15:00.000000Z")


def test_a_buried_event_is_hidden_and_the_others_keep_their_index(tmp_path: Path) -> None:
    assert bury(Disk(), tmp_path, ONE, [tombstone(0, 1)]) == 1
    found = Tombstones.of(tmp_path / "one-00000001.kvp.zst.open", ONE)
    assert [index for index, _ in found.kept(0, some(0, 3))] == [0, 2]
    assert [index for index, _ in found.kept(1, some(0, 3))] == [0, 1, 2]


def test_burying_again_adds_nothing(tmp_path: Path) -> None:
    bury(Disk(), tmp_path, ONE, [tombstone(0, 1)])
    assert bury(Disk(), tmp_path, ONE, [tombstone(0, 1), tombstone(2, 0)]) == 1
    assert len((tmp_path / f"{ONE}{SUFFIX}").read_bytes().splitlines()) == 2


def test_tombstones_are_found_from_the_directory_of_a_sealed_archive(tmp_path: Path) -> None:
    bury(Disk(), tmp_path, ONE, [tombstone(0, 1)])
    assert Tombstones.of(tmp_path / "2026" / "11" / "sealed.kvp.zst", ONE).places == {(0, 1)}
    assert Tombstones.of(tmp_path / "2026" / "x.kvp.zst", ArchiveId("one", 2)).places == frozenset()


def test_a_file_that_cannot_be_read_shows_no_deleted_event(tmp_path: Path) -> None:
    (tmp_path / f"{ONE}{SUFFIX}").write_text('{"batch":0\n')
    with pytest.raises(DeedboxError, match="line 1"):
        Tombstones.of(tmp_path / "a.kvp.zst", ONE)


def test_two_at_a_time_are_refused(tmp_path: Path) -> None:
    with held(Disk(), tmp_path / f"{ONE}{SUFFIX}.lock"), pytest.raises(DeedboxError, match="another process"):
        bury(Disk(), tmp_path, ONE, [tombstone(0, 1)])


def test_what_stays_of_a_removed_event_is_its_place_and_its_arrival() -> None:
    gone = removed(event(7))
    assert is_removed(gone)
    assert not is_removed(event(7))
    assert (gone.arrived_us, gone.body, gone.id, gone.routing_key) == (event(7).arrived_us, b"", "", "")
    assert list(Tombstones().kept(0, [gone, event(8)])) == [(1, event(8))]
