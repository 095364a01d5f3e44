"""A probe over the real door, and over one that fails at each of its steps."""

import errno
from pathlib import Path

import pytest

from consumer.disk.probe import PROBE_BYTES, probe
from tests.support.disk import ShadowDisk


def test_a_probe_takes_the_steps_of_an_archive_and_leaves_nothing(tmp_path: Path) -> None:
    disk = ShadowDisk(tmp_path)
    probe(disk, tmp_path / "one.probe")
    assert disk.calls[:4] == ["create", "append", "sync", "sync_directory"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_probe_that_fails_uses_no_space(tmp_path: Path, step: int) -> None:
    with pytest.raises(OSError, match="No space"):
        probe(ShadowDisk(tmp_path, fail_at=step, error=errno.ENOSPC), tmp_path / "one.probe", 10 * PROBE_BYTES)
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_an_interrupted_probe_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "one.probe").write_bytes(b"left")
    probe(ShadowDisk(tmp_path), tmp_path / "one.probe")
    assert list(tmp_path.iterdir()) == []
