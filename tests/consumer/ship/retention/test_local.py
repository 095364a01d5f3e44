import os
from pathlib import Path

import pytest

from consumer.archive.naming import ArchiveId
from consumer.errors import DeedboxError
from consumer.ship.retention.local import Directory
from tests.support.steps import sealed


def test_an_archive_counts_once_with_its_size_and_the_time_of_its_last_event(tmp_path: Path) -> None:
    first, second = sealed(tmp_path / "archive", 2)
    os.link(first, tmp_path / "archive" / first.name)
    found = Directory.look(tmp_path / "archive")
    assert [(one.archive.sequence, one.size, one.last_us) for one in found.candidates()] == [
        (1, first.stat().st_size, 1_763_741_700_000_002),
        (2, second.stat().st_size, 1_763_741_700_000_005),
    ]
    assert set(found.archives[ArchiveId("one", 1)].paths) == {first, tmp_path / "archive" / first.name}
    assert found.newest("one") == 2
    assert found.newest("other") == 0


def test_a_directory_that_cannot_be_read_stops_retention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest archive may be there, or a hold."""
    sealed(tmp_path / "archive", 1)
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("20251121"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DeedboxError, match="cannot be read"):
        Directory.look(tmp_path / "archive")


def test_a_name_without_a_valid_time_is_no_candidate(tmp_path: Path) -> None:
    first, _ = sealed(tmp_path / "archive", 2)
    bad = first.with_name(first.name.replace("20251121T161500", "20259999T999999"))
    first.rename(bad)
    found = Directory.look(tmp_path / "archive")
    assert [one.archive.sequence for one in found.candidates()] == [2]
    assert found.others == {bad: "its name holds no valid time"}
