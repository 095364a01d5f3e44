"""The removal itself. What keeps an archive is tested in `test_retention`."""

from pathlib import Path

from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from consumer.ship.retention.limits import Limits
from consumer.ship.retention.removal import remove_beside
from consumer.ship.steps.progress import Progress, load, store
from tests.support.retention import World, reasons
from tests.support.steps import sealed

ONE = ArchiveId("one", 1)


def test_all_files_that_belong_to_an_archive_go(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    first, _ = sealed(root, 2)
    store(Disk(), root, ONE, Progress(path=str(first), done=("link /x",)))
    for name in ("deleted", "acknowledged", "deleted.lock", "acknowledged.lock"):
        (first.parent / f"{ONE}.{name}").touch()
        (root / f"{ONE}.{name}").touch()
    first.unlink()
    remove_beside(Disk(), root, first, ONE)
    assert list(root.rglob("one-00000001*")) == []
    assert load(root, ONE) is None


def test_an_archive_that_another_process_removed_is_reported(tmp_path: Path) -> None:
    world = World(tmp_path)
    first, *_ = world.seal(2)
    retention = world.retention(Limits(count=1))
    record = retention.record

    def removed_meanwhile(entries: object) -> object:
        first.unlink()
        return record(entries)

    retention.record = removed_meanwhile
    assert "No such file" in reasons(retention.run())[0]
