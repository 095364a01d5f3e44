from pathlib import Path

import pytest

from consumer.archive.naming import ArchiveId
from consumer.errors import DeedboxError
from consumer.ship.retention.floor import local_hold, waiting_followers
from tests.support.steps import checkpoint

ONE = ArchiveId("one", 5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "archive" / "20261128").mkdir(parents=True)
    return tmp_path / "archive"


def names(root: Path, below: str = "20261128") -> list[str]:
    return [text.split("'")[1] for text in waiting_followers(root / below / "x.kvp.zst", ONE)]


def test_a_follower_has_passed_when_it_confirmed_a_later_archive(root: Path) -> None:
    checkpoint(root, "passed", "one-00000006:0")
    checkpoint(root, "inside", "one-00000005:999")
    checkpoint(root, "before", "one-00000004:0", "two-00000009:0")
    checkpoint(root, "never", "two-00000009:0")
    assert names(root) == ["before", "inside", "never"]


def test_a_follower_of_a_directory_above_counts_and_the_nearest_home_of_an_instance(tmp_path: Path, root: Path) -> None:
    checkpoint(tmp_path, "above", "one-00000004:0", home="archive")
    checkpoint(tmp_path, "other", "one-00000009:0", home="archive2")
    checkpoint(tmp_path, "passed", "one-00000006:0", home="archive")
    assert names(root) == ["above", "other"]


def test_no_follower_keeps_nothing(root: Path) -> None:
    assert names(root) == []


def test_a_checkpoint_that_cannot_be_read_is_an_error(root: Path) -> None:
    checkpoint(root, "f", "one-00000009:0").write_bytes(b"{")
    with pytest.raises(DeedboxError, match=r"f\.checkpoint: .*restore the file"):
        names(root)


def test_a_folder_of_checkpoints_that_cannot_be_read_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint(root, "f", "one-00000009:0")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DeedboxError, match="followers: Permission denied"):
        names(root)


def test_a_hold_beside_or_above_up_to_the_root_holds(root: Path) -> None:
    path = root / "20261128" / "x.kvp.zst"
    assert local_hold(root, path) is None
    (root.parent / ".hold").touch()
    assert local_hold(root, path) is None
    for hold in (root / ".hold", path.parent / ".hold", path.with_name("x.kvp.zst.hold")):
        hold.touch()
        assert local_hold(root, path) == hold


def test_a_hold_that_is_a_broken_link_holds(root: Path) -> None:
    hold = root / ".hold"
    hold.symlink_to("nowhere")
    assert local_hold(root, root / "x.kvp.zst") == hold


def test_a_directory_that_cannot_be_read_may_have_a_hold(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "lstat", refuse)
    with pytest.raises(DeedboxError, match="hold: Permission denied"):
        local_hold(root, root / "x.kvp.zst")
