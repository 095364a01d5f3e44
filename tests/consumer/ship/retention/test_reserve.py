"""The reserve, on a file system that is really full."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.ship.retention import reserve
from consumer.ship.retention.limits import Limits
from tests.support.mounts import small_ext4
from tests.support.retention import World

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a real file system takes root")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_ext4(tmp_path) as mount:
        yield mount


def fill(disk: Path) -> None:
    for size in (1 << 16, 512):
        with (disk / f"fill{size}").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


@NEEDS_ROOT
def test_retention_frees_a_disk_that_is_full_to_the_last_block(disk: Path) -> None:
    world = World(disk)
    world.seal(4)
    world.run(Limits(count=4))
    fill(disk)
    assert len(world.run(Limits(count=1)).removed) == 3
    assert world.left() == [4]


def test_space_is_kept_once_and_given_back(tmp_path: Path) -> None:
    reserve.keep(tmp_path)
    first = (tmp_path / reserve.NAME).stat()
    reserve.keep(tmp_path)
    assert (tmp_path / reserve.NAME).stat() == first
    assert first.st_blocks * 512 >= reserve.BYTES
    assert (reserve.give(tmp_path), reserve.give(tmp_path)) == (True, False)


def test_a_fifo_under_its_name_does_not_stop_retention(tmp_path: Path) -> None:
    """Opening a FIFO for writing waits for a reader."""
    os.mkfifo(tmp_path / reserve.NAME)
    reserve.keep(tmp_path)
    reserve.keep(tmp_path)
    assert (tmp_path / reserve.NAME).stat().st_size == reserve.BYTES
