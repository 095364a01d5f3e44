import shutil
from pathlib import Path

import pytest

from consumer.archive.digests import files
from consumer.archive.digests.making import Retirement, make_due, retire
from consumer.archive.digests.restore import restore
from consumer.archive.location import Location
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk, held
from consumer.errors import DeedboxError
from consumer.objects.url import ObjectUrl
from tests.consumer.archive.digests.test_chain import HOUR_US, NOW_US, digest, key, local, read, remote

__all__ = ["key", "local", "remote"]


def test_lost_digests_come_back_and_the_chain_goes_on(local: Path, remote: Path, key: Path) -> None:
    """Without them the next digests would have the numbers of those that the destination holds, with other content."""
    shutil.rmtree(local / "digests")
    assert restore(Disk(), local, [remote]) == []  # a part of a chain is no chain
    make_due(Disk(), local, NOW_US + 9 * HOUR_US, HOUR_US, destinations=[remote])
    assert read(None, local, remote).faults == []
    assert sorted(read(None, local).digests) == [1, 2, 3, 4, 5]


def test_an_existing_digest_is_not_replaced(local: Path, remote: Path) -> None:
    digest(remote, 2).write_bytes(digest(remote, 2).read_bytes().replace(b'"events":2', b'"events":3'))
    before = digest(local, 2).read_bytes()
    assert restore(Disk(), local, [remote]) == []
    assert digest(local, 2).read_bytes() == before


def test_what_is_no_digest_is_not_copied(local: Path, remote: Path) -> None:
    shutil.copy(digest(remote, 3), digest(remote, 2))
    digest(remote, 1).write_bytes(b"damaged")
    for number in (1, 2, 3):
        digest(local, number).unlink()
    assert sorted(path.name for path in restore(Disk(), local, [remote])) == ["00000003.digest"]


def test_instances_of_other_machines_stay_away(remote: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert restore(Disk(), tmp_path / "empty", [remote]) == []


def test_a_chain_that_another_process_extends_is_left_to_it(local: Path, remote: Path) -> None:
    digest(local, 2).unlink()
    with held(Disk(), digest(local, 2).with_name(".lock")):
        assert restore(Disk(), local, [remote]) == []
    assert restore(Disk(), local, [remote]) == [digest(local, 2)]


def test_the_newest_digest_comes_back_first(local: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed meanwhile leaves a chain that goes on with a new number."""
    shutil.rmtree(local / "digests")
    read_raw = files.read_raw

    def killed(location: Location) -> bytes:
        if location == digest(remote, 3):
            raise KeyboardInterrupt
        return read_raw(location)

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_raw", killed)
        with pytest.raises(KeyboardInterrupt):
            make_due(Disk(), local, NOW_US + 9 * HOUR_US, HOUR_US, destinations=[remote])
    make_due(Disk(), local, NOW_US + 9 * HOUR_US, HOUR_US, destinations=[remote])
    assert sorted(read(None, local).digests) == [4, 5]
    assert len(restore(Disk(), local, [remote])) == 3
    assert read(None, local, remote).faults == []


def test_no_second_chain_begins_if_a_destination_does_not_answer(local: Path, remote: Path, tmp_path: Path) -> None:
    """One destination has older digests only. A removal is not recorded either."""
    shutil.rmtree(local / "digests")
    places = [remote, ObjectUrl.of_directory(str(tmp_path / "unmounted"))]
    entry = Retirement(ArchiveId("one", 1), "x", "0" * 64, "local")
    with pytest.raises(DeedboxError, match="may have some, but cannot be asked"):
        make_due(Disk(), local, NOW_US + 9 * HOUR_US, HOUR_US, destinations=places)
    with pytest.raises(DeedboxError, match=r"take it out of ship\.destinations"):
        retire(Disk(), local, [entry], NOW_US + 9 * HOUR_US, HOUR_US, destinations=places)
    assert files.numbered(local, "one") == []
    retire(Disk(), local, [entry], NOW_US + 9 * HOUR_US, HOUR_US, destinations=places[:1])
    assert sorted(read(None, local).digests) == [1, 2, 3, 4, 5]


def test_no_second_chain_begins_if_the_newest_digest_there_is_damaged(local: Path, remote: Path) -> None:
    shutil.rmtree(local / "digests")
    whole = digest(remote, 4).read_bytes()
    digest(remote, 4).write_bytes(b"damaged")
    with pytest.raises(DeedboxError, match="cannot be copied back: "):
        make_due(Disk(), local, NOW_US + 9 * HOUR_US, HOUR_US, destinations=[remote])
    assert files.numbered(local, "one") == []
    digest(remote, 4).write_bytes(whole)
    make_due(Disk(), local, NOW_US + 9 * HOUR_US, HOUR_US, destinations=[remote])
    assert sorted(read(None, local).digests) == [1, 2, 3, 4, 5]


def test_a_directory_that_lost_only_its_newest_digests_begins_no_fork(
    local: Path, remote: Path, tmp_path: Path
) -> None:
    """A power cut, or an older backup. A destination that does not answer does not stop the chain."""
    places = [ObjectUrl.of_directory(str(tmp_path / "unmounted")), ObjectUrl.of_directory(str(remote))]
    for number in (3, 4):
        digest(local, number).unlink()
    make_due(Disk(), local, NOW_US + 9 * HOUR_US, HOUR_US, destinations=places)
    assert sorted(read(None, local).digests) == [1, 2, 3, 4, 5]
    assert read(None, local, remote).faults == []


def test_a_removal_is_recorded_after_the_digests_that_only_a_destination_has(local: Path, remote: Path) -> None:
    digest(local, 4).unlink()
    entry = Retirement(ArchiveId("one", 1), "x", "0" * 64, "local")
    retire(Disk(), local, [entry], NOW_US + 9 * HOUR_US, HOUR_US, destinations=[remote])
    assert sorted(read(None, local).digests) == [1, 2, 3, 4, 5]
    assert read(None, local, remote).faults == []


def test_a_later_digest_that_cannot_be_used_keeps_its_number(local: Path, remote: Path) -> None:
    digest(local, 4).unlink()
    digest(remote, 4).write_bytes(b"damaged")
    with pytest.raises(DeedboxError, match=r"ends with digest 3 of one, and .* cannot be copied back"):
        make_due(Disk(), local, NOW_US + 9 * HOUR_US, HOUR_US, destinations=[remote])
    assert not digest(local, 4).exists()
