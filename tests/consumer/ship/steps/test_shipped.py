from pathlib import Path

import pytest

from consumer.archive.reading.reader import open_archive
from consumer.archive.reading.tombstones import add_tombstones
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.objects.stores import store_of
from consumer.ship.steps.shipped import shipped_to
from tests.support.retention import World, upload


def test_an_archive_is_shipped_when_every_destination_has_it_with_its_deletions(tmp_path: Path) -> None:
    world = World(tmp_path)
    (path,) = world.seal(1)
    name = path.relative_to(world.root).as_posix()
    a, b = world.destination("a"), world.destination("b")
    shipped = shipped_to(world.root, [a, b])
    assert shipped is not None
    assert shipped(path, name) is False
    upload(world.root, a)
    assert shipped(path, name) is False
    upload(world.root, b)
    assert shipped(path, name) is True
    with open_archive(path) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-28T00:00:00.000000Z")
    assert shipped(path, name) is False
    world.upload()
    assert shipped(path, name) is True


def test_other_content_and_a_destination_that_is_away_are_errors(tmp_path: Path) -> None:
    world = World(tmp_path)
    (path,) = world.seal(1)
    name = path.relative_to(world.root).as_posix()
    url = world.destination("a")
    shipped = shipped_to(world.root, [url])
    assert shipped is not None
    store_of(url).put(url / path.relative_to(world.root).as_posix(), b"other", {})
    with pytest.raises(DeedboxError, match="differs from"):
        shipped(path, name)
    Path(url.bucket).rename(tmp_path / "away")
    with pytest.raises(DeedboxError, match="does not answer"):
        shipped(path, name)


def test_without_destinations_there_is_nothing_to_ask(tmp_path: Path) -> None:
    assert shipped_to(tmp_path, []) is None
