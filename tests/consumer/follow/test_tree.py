import os
from pathlib import Path

import pytest

from consumer.follow.tree import Tree
from tests.support.archive_logs import archive_log, some


@pytest.fixture(autouse=True)
def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.follow.tree.SETTLE_S", 0.0)


def test_a_directory_that_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = archive_log(tmp_path)
    for at in range(3):
        one.append(some(at, 1))
        one.roll("test")
    tree = Tree([tmp_path])
    assert len(tree.look(everywhere=True)) == 3
    scans = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: [scans.append(path), scan(path)][1])
    assert tree.look(everywhere=True) == []
    assert scans == []
    one.append(some(3, 1))
    assert [path.name for path in tree.look(everywhere=False)] == ["one-00000004.kvp.zst.open"]
    assert scans == [tmp_path]


def test_a_directory_is_read_until_its_time_of_change_has_stood_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.follow.tree.SETTLE_S", 60.0)
    tree = Tree([tmp_path])
    tree.look(everywhere=True)
    stat = tmp_path.stat()
    archive_log(tmp_path).append(some(0, 1))
    os.utime(tmp_path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as on a file system with coarse times
    assert len(tree.look(everywhere=True)) == 1


def test_an_archive_belongs_to_the_directory_that_its_instance_writes_to(tmp_path: Path) -> None:
    for name in ("a", "b"):
        one = archive_log(tmp_path / name)
        one.append(some(0, 1))
        one.roll("test")
    copied = tmp_path / "c" / "20251121"
    copied.mkdir(parents=True)
    tree = Tree([tmp_path])
    found = tree.look(everywhere=True)
    assert [tree.home(path, "one")[0] for path in found] == [tmp_path / "a", tmp_path / "b"]
    (copied / found[0].name).write_bytes(found[0].read_bytes())
    assert [tree.home(path, "one")[0] for path in tree.look(everywhere=True)] == [tmp_path / "c"]


def test_a_directory_that_cannot_be_read_is_named_once_and_stays_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_log(tmp_path).append(some(0, 1))
    tree = Tree([tmp_path])
    tree.look(everywhere=True)
    with monkeypatch.context() as broken:
        broken.setattr(
            os, "scandir", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied", path))
        )
        (tmp_path / "x").touch()
        assert [tree.look(everywhere=True) for _ in range(3)] == [[], [], []]
    assert [str(fault) for fault in tree.faults] == [f"{tmp_path}: Permission denied"]
    assert tree.holds(tmp_path, "one")
    assert len(tree.look(everywhere=True)) == 1


def test_a_path_inside_of_another_is_looked_at_once(tmp_path: Path) -> None:
    archive_log(tmp_path).append(some(0, 1))
    assert len(Tree([tmp_path, tmp_path / "x", tmp_path]).look(everywhere=True)) == 1


def test_a_directory_that_several_paths_and_links_lead_to_is_read_once(tmp_path: Path) -> None:
    """`tail DIR LINK` printed every event twice, and a folder that was replaced by a link was left out in silence."""
    home = tmp_path / "home"
    one = archive_log(home)
    one.append(some(0, 1))
    one.roll("test")
    (folder,) = (path for path in home.iterdir() if path.is_dir())
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    (home / "newest").symlink_to(folder.name)
    (home / "up").symlink_to(tmp_path)
    (home / "round").symlink_to(home)
    (tmp_path / "link").symlink_to(home)
    tree = Tree([home, tmp_path / "link"])
    (found,) = tree.look(everywhere=True)
    assert found.parent == folder
    assert tree.home(found, "one")[0] == home
    one.append(some(1, 1))
    assert len(tree.look(everywhere=False)) == 1


def test_a_directory_that_was_renamed_is_read_under_its_new_path(tmp_path: Path) -> None:
    archive_log(tmp_path / "b").append(some(0, 1))
    tree = Tree([tmp_path])
    assert len(tree.look(everywhere=True)) == 1
    (tmp_path / "b").rename(tmp_path / "a")
    found = [path for _ in range(2) for path in tree.look(everywhere=True)]
    assert [path.parent for path in found] == [tmp_path / "a"]
