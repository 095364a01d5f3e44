from pathlib import Path

from consumer.archive.naming import ArchiveId
from consumer.disk.durable import Disk
from consumer.ship.side_files import directories_of, has_files, remove_side_files, side_files

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


def test_the_files_of_an_archive_go_with_their_locks_unless_a_copy_is_there(tmp_path: Path) -> None:
    """A step that moved an archive left the lock of its acknowledgements."""
    root, path = tmp_path / "root", tmp_path / "root" / "day" / "x-one-00000001.kvp.zst"
    path.parent.mkdir(parents=True)
    names = [f"one-00000001{suffix}{lock}" for suffix in (".deleted", ".acknowledged") for lock in ("", ".lock")]
    files = [place / name for place in (root, path.parent) for name in names]
    for file in (path, *files):
        file.touch()
    assert remove_side_files(Disk(), root, path, ONE) is False
    assert all(file.exists() for file in files)
    path.unlink()
    assert remove_side_files(Disk(), root, path, ONE) is True
    assert [file.name for file in root.rglob("*") if file.is_file()] == []
