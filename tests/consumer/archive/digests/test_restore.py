import shutil
from pathlib import Path

from consumer.archive.digests.making import make_due
from consumer.archive.digests.restore import restore
from consumer.disk.durable import Disk, held
from tests.consumer.archive.digests.test_chain import HOUR_US, NOW_US, digest, key, local, read, remote

__all__ = ["key", "local", "remote"]


def test_lost_digests_come_back_and_the_chain_goes_on(local: Path, remote: Path, key: Path) -> None:
    """Without them the next digests would have the numbers of those that the destination holds, with other content."""
    shutil.rmtree(local / "digests")
    assert len(restore(Disk(), local, [remote])) == 4
    assert restore(Disk(), local, [remote]) == []
    make_due(Disk(), local, NOW_US + 9 * HOUR_US, HOUR_US)
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
    shutil.rmtree(local / "digests")
    assert sorted(path.name for path in restore(Disk(), local, [remote])) == ["00000003.digest", "00000004.digest"]


def test_instances_of_other_machines_stay_away(remote: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert restore(Disk(), tmp_path / "empty", [remote]) == []


def test_a_chain_that_another_process_extends_is_left_to_it(local: Path, remote: Path) -> None:
    digest(local, 2).unlink()
    with held(Disk(), digest(local, 2).with_name(".lock")):
        assert restore(Disk(), local, [remote]) == []
    assert restore(Disk(), local, [remote]) == [digest(local, 2)]
