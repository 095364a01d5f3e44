from pathlib import Path

import pytest

from consumer.archive.digests import files


def test_a_name_has_eight_digits_or_more() -> None:
    assert [files.parse_name(files.digest_name(number)) for number in (1, 99_999_999, 10**9)] == [1, 99_999_999, 10**9]


@pytest.mark.parametrize(
    "name", ["1.digest", "00000001.digest.new", "0000000001.digest", "00000001", ".lock", "0000000\u0661.digest"]
)
def test_other_names_are_no_digests(name: str) -> None:
    """Also a name with more zeros: two files with one number would be two digests."""
    assert files.parse_name(name) is None


def test_a_directory_without_digests_has_none(tmp_path: Path) -> None:
    assert files.instances(tmp_path) == []
    assert files.numbered(tmp_path, "one") == []
    assert files.newest(tmp_path, "one") is None


def test_only_folders_of_instances_count(tmp_path: Path) -> None:
    for name in ("one", ".trash", "a b"):
        (tmp_path / "digests" / name).mkdir(parents=True)
    (tmp_path / "digests" / "one.digests.acknowledged").touch()  # made by `verify --acknowledge`
    assert files.instances(tmp_path) == ["one"]


def test_the_newest_digest_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    folder = files.folder(tmp_path, "one")
    folder.mkdir(parents=True)
    (folder / "00000001.digest").write_bytes(b"damaged")
    assert files.newest(tmp_path, "one") is None
    assert [number for number, _ in files.numbered(tmp_path, "one")] == [1]
