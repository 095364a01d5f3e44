import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.watch.snapshot import FileEventKind, FileStat, Snapshot, differences, settled, take_snapshot

stats = st.builds(FileStat, st.integers(1, 3), st.integers(0, 2), st.just(0), st.integers(0, 2), st.just(0o100644))
entries = st.dictionaries(st.sampled_from("abcd"), stats)
DIRECTORY = FileStat(9, 0, 0, 0, 0o040755)
snapshots = st.builds(Snapshot, st.just(DIRECTORY), entries) | st.just(Snapshot())


@given(snapshots, snapshots)
def test_the_differences_lead_from_one_snapshot_to_the_other(before: Snapshot, after: Snapshot) -> None:
    names = set(before.entries)
    found = list(differences(before, after))
    assert len(found) == len(set(found))
    for kind, name in found:
        if name is None:
            continue
        assert (kind is FileEventKind.CREATED) == (name not in names)
        (names.discard if kind is FileEventKind.DELETED else names.add)(name)
    assert names == set(after.entries)
    assert (before == after) == (found == [])


@given(snapshots, snapshots)
def test_a_file_that_still_grows_is_not_reported(before: Snapshot, after: Snapshot) -> None:
    assert settled(before, after, after) == after
    moving = settled(before, before, after)
    found = {name for kind, name in differences(before, moving) if kind is FileEventKind.CHANGED and name}
    assert found == set()


def test_a_path_that_cannot_be_read_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a free descriptor, everything seemed to be deleted."""
    monkeypatch.setattr(os, "scandir", lambda _: (_ for _ in ()).throw(OSError(24, "Too many open files")))
    with pytest.raises(OSError, match="Too many"):
        take_snapshot(tmp_path)
    with pytest.raises(OSError, match="null"):
        take_snapshot(Path("a\0b"))


def test_a_path_that_does_not_exist_has_an_empty_snapshot(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    assert set(take_snapshot(tmp_path).entries) == {"file"}
    assert take_snapshot(tmp_path / "missing") == Snapshot()
    assert take_snapshot(tmp_path / "file").stat.size == 1
    assert take_snapshot(tmp_path / "file" / "below") == Snapshot()
