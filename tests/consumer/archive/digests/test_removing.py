from pathlib import Path

from consumer.archive.digests.removing import RETENTION_LOCK, is_being_removed
from consumer.archive.naming import ArchiveId, lock_path
from consumer.disk.durable import Disk, held
from consumer.ship.steps.placing import deletions_locked

ONE = ArchiveId("one", 1)


def test_a_run_of_retention_and_a_step_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "day" / "x.kvp.zst"
    path.parent.mkdir()
    assert not is_being_removed(tmp_path, path, ONE)
    with held(Disk(), tmp_path / RETENTION_LOCK):
        assert is_being_removed(tmp_path, path, ONE)
    with deletions_locked(Disk(), path, ONE):
        assert is_being_removed(tmp_path, path, ONE)
        assert not is_being_removed(tmp_path, path, ArchiveId("one", 2))
    assert not is_being_removed(tmp_path, path, ONE)  # the files of the locks are still there


def test_a_running_instance_of_any_name_is_no_run_of_retention(tmp_path: Path) -> None:
    with held(Disk(), lock_path(tmp_path, "retain")):
        assert not is_being_removed(tmp_path, tmp_path / "x", ONE)


def test_a_lock_that_cannot_be_looked_at_may_be_held(tmp_path: Path) -> None:
    (tmp_path / RETENTION_LOCK).symlink_to("elsewhere")
    assert is_being_removed(tmp_path, tmp_path / "x", ONE)
