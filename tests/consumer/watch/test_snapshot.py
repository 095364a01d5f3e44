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
def test_what_happened_leads_from_the_one_to_the_other(before: Snapshot, after: Snapshot) -> None:
    names = set(before.entries)
    told = list(differences(before, after))
    assert len(told) == len(set(told))
    for kind, name in told:
        if name is None:
            continue
        assert (kind is FileEventKind.CREATED) == (name not in names)
        (names.discard if kind is FileEventKind.DELETED else names.add)(name)
    assert names == set(after.entries)
    assert (before == after) == (told == [])


@given(snapshots, snapshots)
def test_what_has_settled_is_told_and_what_moves_is_not(before: Snapshot, after: Snapshot) -> None:
    assert settled(before, after, after) == after
    moving = settled(before, before, after)
    told = {name for kind, name in differences(before, moving) if kind is FileEventKind.CHANGED and name}
    assert told == set()


def test_what_cannot_be_looked_at_is_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a free descriptor, everything seemed to be deleted."""
    monkeypatch.setattr(os, "scandir", lambda _: (_ for _ in ()).throw(OSError(24, "Too many open files")))
    with pytest.raises(OSError, match="Too many"):
        take_snapshot(tmp_path)
    with pytest.raises(OSError, match="null"):
        take_snapshot(Path("a\0b"))


def test_looking_at_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    assert set(take_snapshot(tmp_path).entries) == {"file"}
    assert take_snapshot(tmp_path / "missing") == Snapshot()
    assert take_snapshot(tmp_path / "file").stat.size == 1
    assert take_snapshot(tmp_path / "file" / "below") == Snapshot()
