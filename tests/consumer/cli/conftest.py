"""Directories of archives that several commands read."""

from pathlib import Path

import pytest

from tests.support.archive_logs import archive_log, some


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 50))
    one.roll("test")
    one.append(some(50, 50))
    return tmp_path / "archive"


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """Five deliveries: three events, of which two were redelivered and are marked as duplicates."""
    one = archive_log(tmp_path / "doubled")
    one.append(some(0, 3))
    one.append(
        [event._replace(redelivered=True, duplicate=f"one-00000001:{n}") for n, event in enumerate(some(1, 2), 1)]
    )
    one.roll("test")
    return tmp_path / "doubled"
