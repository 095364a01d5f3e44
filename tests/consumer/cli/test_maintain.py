"""`delete` as a user runs it."""

import shutil
from pathlib import Path

from consumer.errors import Exit
from tests.support.command_line import deedbox, ids


def test_an_event_is_deleted_together_with_its_marked_copies(doubled: Path) -> None:
    """An event that is deleted for privacy must not be shown by --duplicates show."""
    assert deedbox("delete", "id-1", doubled, "--yes").stdout.startswith("2 events deleted")
    assert ids(deedbox("cat", doubled, "--duplicates", "show").stdout) == ["id-0", "id-2", "id-2"]


def test_an_event_is_deleted_in_every_copy_of_its_archive(directory: Path, tmp_path: Path) -> None:
    shutil.copytree(directory, tmp_path / "copy")
    assert deedbox("delete", "id-7", directory, tmp_path / "copy").stdout.startswith("1 event deleted")
    for place in (directory, tmp_path / "copy"):
        assert deedbox("get", "id-7", place).returncode == Exit.NOT_FOUND
