from pathlib import Path

from consumer.archive.naming import ArchiveId
from consumer.ship.side_files import directories_of, has_files, side_files

ONE = ArchiveId("one", 1)


def test_files_beside_the_archive_and_above_it_belong_to_it(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    day = root / "20261128"
    day.mkdir(parents=True)
    belongs = [day / "one-00000001.deleted", root / "one-00000001.deleted", root / "one-00000001.acknowledged"]
    for path in [*belongs, tmp_path / "one-00000001.deleted", day / "one-00000002.deleted", day / "one-00000001.torn"]:
        path.touch()
    found = side_files(root, day / "x.kvp.zst", ONE)
    assert found == {".deleted": belongs[:2], ".acknowledged": belongs[2:]}


def test_of_an_archive_outside_of_the_directory_only_its_own_directory_counts(tmp_path: Path) -> None:
    assert directories_of(tmp_path / "archive", tmp_path / "done" / "x") == [tmp_path / "done"]
    assert directories_of(tmp_path / "archive", tmp_path / "archive" / "x") == [tmp_path / "archive"]


def test_any_file_of_an_archive_below_the_directory_is_found(tmp_path: Path) -> None:
    archive, path = ArchiveId("one", 1), tmp_path / "root" / "day" / "x-one-00000001.kvp.zst"
    (tmp_path / "root" / "keep" / "deep").mkdir(parents=True)
    path.parent.mkdir()
    assert has_files(tmp_path / "root", path, archive) is False
    (tmp_path / "root" / "keep" / "deep" / (path.name + ".done")).touch()
    assert has_files(tmp_path / "root", path, archive) is True
    assert has_files(tmp_path / "root", tmp_path / "other", archive) is False
