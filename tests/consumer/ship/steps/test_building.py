"""The steps as the settings build them, with the real chain of digests and real destinations."""

import time
from pathlib import Path

import pytest

from codec.digest import LOCAL
from consumer.archive.digests.history import retired
from consumer.archive.digests.making import make_due
from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from consumer.ship.settings import ShipSection
from consumer.ship.steps.building import steps_worker
from consumer.ship.steps.settings import SealSection
from tests.support.command_line import deedbox
from tests.support.retention import World, upload
from tests.support.steps import ENVIRON

HOUR_US = 3_600_000_000
NOW_US = time.time_ns() // 1000


def look(world: World, *steps: str) -> bool:
    worker = steps_worker(world.root, SealSection(steps=steps), ShipSection(), world.urls, ENVIRON)
    try:
        return worker.look()
    finally:
        worker.close()


def test_a_moved_archive_is_retired_and_no_loss(tmp_path: Path) -> None:
    world = World(tmp_path)
    first, *_ = world.seal(3)
    look(world, f"move {tmp_path}/done")
    assert world.left() == [3]
    entry = retired(world.root)[ArchiveId("one", 1), LOCAL]
    assert (entry.reason, entry.kept) == (f"moved to {tmp_path}/done/{first.name}", ())
    assert deedbox("verify", world.root).returncode == 0
    assert deedbox("verify", tmp_path / "done").returncode == 0
    assert len(deedbox("cat", tmp_path / "done").stdout.splitlines()) == 6


def test_an_archive_that_a_step_could_not_move_is_missed_when_it_is_lost(tmp_path: Path) -> None:
    """It was recorded as retired. The next digest lists it again, and only a record after that explains that it is gone."""
    world = World(tmp_path)
    first, *_ = world.seal(3)
    make_due(Disk(), world.root, NOW_US, HOUR_US)
    target = tmp_path / "done" / first.name
    target.parent.mkdir()
    target.write_bytes(b"foreign")
    look(world, f"move {tmp_path}/done")
    assert world.left() == [1, 3]
    make_due(Disk(), world.root, NOW_US + 2 * HOUR_US, HOUR_US)
    lost = first.read_bytes()
    first.unlink()
    done = deedbox("verify", world.root)
    assert (done.returncode, done.stdout.count("is missing: digest 4 lists it"), "1 retired" in done.stdout) == (
        1,
        1,
        True,
    )
    first.write_bytes(lost)
    target.unlink()
    look(world, f"move {tmp_path}/done")
    assert world.left() == [3]
    done = deedbox("verify", world.root)
    assert (done.returncode, "2 retired" in done.stdout) == (0, True)


def test_ship_and_delete_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    url = world.destination("a")
    paths = world.seal(3)
    assert look(world, "ship", "delete") is False
    assert world.left() == [1, 2, 3]
    upload(world.root, url, *paths[:1])
    look(world, "ship", "delete")
    assert world.left() == [2, 3]
    entry = retired(world.root)[ArchiveId("one", 1), LOCAL]
    assert (entry.reason, entry.kept) == ("deleted by a step on seal", (str(url),))
    assert world.left_at(url) == [1]


@pytest.mark.parametrize(
    "steps", [("suffix .done", "delete"), ("move TOP/old", "delete"), ("suffix .done",), ("move TOP/old",)]
)
def test_no_step_takes_an_archive_from_shipping_before_every_destination_has_it(
    tmp_path: Path, steps: tuple[str, ...]
) -> None:
    world = World(tmp_path)
    a, b = world.destination("a"), world.destination("b")
    paths = world.seal(3)
    steps = tuple(step.replace("TOP", str(tmp_path)) for step in steps)
    upload(world.root, a)
    look(world, *steps)
    assert world.left() == [1, 2, 3]
    upload(world.root, b, *paths[:1])
    look(world, *steps)
    assert world.left() == [2, 3]
    entry = retired(world.root)[ArchiveId("one", 1), LOCAL]
    assert entry.kept == (str(a), str(b))
    assert "delete" not in steps or not list(tmp_path.glob("[!ab]*/**/*one-00000001.kvp.zst*"))


def test_an_archive_that_a_destination_lost_after_the_move_is_not_deleted(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.destination("a")
    first, _ = world.seal(2)
    world.upload()
    there = tmp_path / "a" / first.relative_to(world.root)
    look(world, f"move {tmp_path}/old", "run false", "delete")
    there.rename(tmp_path / "lost")
    look(world, f"move {tmp_path}/old", "delete")
    assert (tmp_path / "old" / first.name).exists()
    (tmp_path / "lost").rename(there)
    look(world, f"move {tmp_path}/old", "delete")
    assert not (tmp_path / "old" / first.name).exists()


@pytest.mark.parametrize("step", ["move TOP/old", "suffix .done"])
def test_ship_that_is_put_before_a_step_that_was_done_is_no_error(tmp_path: Path, step: str) -> None:
    world = World(tmp_path)
    world.destination("a")
    world.seal(2)
    world.upload()
    step = step.replace("TOP", str(tmp_path))
    look(world, step, "run false")
    assert look(world, "ship", step, "run false") is False
    look(world, "ship", step, "run true")
    assert list((world.root / "steps").glob("one-00000001*")) == []
