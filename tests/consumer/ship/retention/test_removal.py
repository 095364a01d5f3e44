"""The removal itself. What keeps an archive is tested in `test_retention`."""

import os
import time
from pathlib import Path

import pytest

from consumer.archive.digests.making import Retirement, retire
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from consumer.objects.stores import store_of
from consumer.ship.retention import places
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


@pytest.mark.parametrize("where", ["local", "remote"])
@pytest.mark.parametrize("name", ["beside", "folder", "root"])
def test_a_hold_that_is_put_at_a_destination_during_the_run_holds(tmp_path: Path, where: str, name: str) -> None:
    world = World(tmp_path)
    first, *_ = world.seal(3)
    url = world.destination("a")
    world.upload()
    limits = Limits(count=1)
    if where == "remote":
        world.run(limits)
    retention = world.retention(*((Limits(), {url: limits}) if where == "remote" else (limits,)))
    beside = first.relative_to(world.root).as_posix()
    hold = {"beside": f"{beside}.hold", "folder": f"{first.parent.name}/.hold", "root": ".hold"}[name]
    record = retention.record

    def held_meanwhile(entries: object) -> object:
        store_of(url).put(url / hold, b"", {})
        return record(entries)

    retention.record = held_meanwhile
    result = retention.run()
    held = [1] if name == "beside" else [1, 2]
    left = world.left_at(url) if where == "remote" else world.left()
    assert left == [*held, 3]
    assert f"{url / hold} holds it" in reasons(result, str(url) if where == "remote" else "local")


def test_a_copy_or_a_loss_at_a_destination_during_the_run_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "LISTING_S", 0.0)
    world = World(tmp_path)
    first, _, third = world.seal(3)
    url = world.destination("a")
    world.upload()
    world.run(Limits(count=1))
    there = Path(url.bucket)
    retention = world.retention(Limits(), {url: Limits(count=1)})
    record = retention.record

    def meanwhile(entries: object) -> object:
        (there / "copy").mkdir()
        (there / "copy" / first.name).write_bytes((there / first.relative_to(world.root)).read_bytes())
        (there / third.relative_to(world.root)).unlink()
        return record(entries)

    retention.record = meanwhile
    found = reasons(retention.run(), str(url))
    assert "exists twice" in found[0]
    assert "is the newest archive" in found[1]


def test_a_hard_link_to_the_archive_is_no_copy_at_a_destination(tmp_path: Path) -> None:
    world = World(tmp_path)
    first, *_ = world.seal(2)
    url = world.destination("a")
    world.upload()
    there = Path(url.bucket) / first.relative_to(world.root)
    there.unlink()
    os.link(first, there)
    assert reasons(world.run(Limits(count=1)))[0] == f"is the same file at {url}, which is no copy"
    assert world.left() == [1, 2]


def test_deletions_stay_while_a_renamed_archive_or_a_copy_is_in_the_directory(tmp_path: Path) -> None:
    """Step `suffix` keeps the archive in its folder; its deletions may be in a folder above."""
    world = World(tmp_path)
    first, *_ = world.seal(3)
    deleted = world.root / f"{ONE}.deleted"
    deleted.write_bytes(b"a line\n")
    now_us = time.time_ns() // 1000
    gone = Retirement(ONE, first.relative_to(world.root).as_posix(), "0" * 64, "local")
    retire(Disk(), world.root, [gone], now_us, 0)
    renamed = first.rename(first.with_name(first.name + ".done"))
    world.run(Limits(count=9))
    assert deleted.exists()
    renamed.unlink()
    world.run(Limits(count=9))
    assert not deleted.exists()


def test_a_folder_whose_name_is_no_utf_8_does_not_keep_the_others(tmp_path: Path) -> None:
    world = World(tmp_path)
    first, *_ = world.seal(3)
    first.parent.rename(os.fsdecode(os.fsencode(world.root) + b"/\xff"))
    assert len(world.run(Limits(count=1)).removed) == 2
    assert world.left() == [3]
