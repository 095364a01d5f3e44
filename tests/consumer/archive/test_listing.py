import os
from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.archive.verify import verify
from tests.support.shelves import shelf, some


def test_archives_come_in_the_order_of_instance_and_sequence(tmp_path: Path) -> None:
    for instance in ("two", "one"):
        writer = shelf(tmp_path, instance=instance)
        for at in range(0, 30, 10):
            writer.append(some(at, 10))
            if at < 20:
                writer.roll("test")
    (tmp_path / "100-160.bak").touch()
    names = [path.name.split("-", 2)[-1].split(".")[0] for path in find_archives([tmp_path])]
    assert names[:2] == ["one-00000001", "one-00000002"]
    assert [path.name.startswith("one") or "-one-" in path.name for path in find_archives([tmp_path])] == [True] * 3 + [
        False
    ] * 3


def test_a_file_that_was_named_is_kept_as_it_is(tmp_path: Path) -> None:
    assert find_archives([tmp_path / "whatever"]) == [tmp_path / "whatever"]


def test_what_a_walk_cannot_read_is_a_fault_of_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf(tmp_path).append(some(0, 5))
    (tmp_path / "secret").mkdir()
    real = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert find_archives([tmp_path])[-1] == tmp_path / "secret"
    assert [bool(verdict.faults) for verdict in verify([tmp_path])] == [False, True]


def test_archives_of_one_id_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    name = "20251121T161500.000000Z-20251121T161500.000000Z-one-00000001.kvp.zst"
    for place in ("b", "a", "c"):
        (tmp_path / place).mkdir()
        (tmp_path / place / name).touch()
    assert [path.parent.name for path in find_archives([tmp_path])] == ["a", "b", "c"]
