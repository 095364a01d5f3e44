from pathlib import Path

from consumer.archive.writing.torn import free_name, is_regular, keep_aside
from consumer.disk.durable import Disk


def test_the_same_bytes_are_kept_once_and_other_bytes_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"whole torn")
    for _ in range(2):
        keep_aside(Disk(), path, 5, 5)
    assert [(one.name, one.read_bytes()) for one in tmp_path.glob("*.torn*")] == [("a.5.torn", b" torn")]
    path.write_bytes(b"whole TORN")
    keep_aside(Disk(), path, 5, 5)
    assert sorted(one.read_bytes() for one in tmp_path.glob("*.torn*")) == [b" TORN", b" torn"]


def test_a_free_name_is_the_wanted_one_or_has_a_number(tmp_path: Path) -> None:
    assert free_name(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").touch()
    (tmp_path / "a.2").symlink_to(tmp_path / "nothing")
    assert free_name(tmp_path / "a") == tmp_path / "a.3"


def test_a_link_is_not_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert (is_regular(tmp_path / "a"), is_regular(tmp_path / "b"), is_regular(tmp_path / "c")) == (True, False, False)
