"""The steps as the settings build them, with the real chain of digests and real destinations."""

from pathlib import Path

from codec.digest import LOCAL
from consumer.archive.digests.history import retired
from consumer.archive.naming import ArchiveId
from consumer.ship.settings import ShipSection
from consumer.ship.steps.building import steps_worker
from consumer.ship.steps.settings import SealSection
from tests.support.command_line import deedbox
from tests.support.retention import World, upload
from tests.support.steps import ENVIRON


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
