from pathlib import Path

import pytest

from consumer.disk.durable import Disk, held
from consumer.errors import DeedboxError
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.ship.restored_side_files import merge_lines

NAME = "one-00000001.deleted"


@pytest.fixture
def url(tmp_path: Path) -> ObjectUrl:
    """An object with two lines."""
    url = ObjectUrl("memory", tmp_path.name, f"keep/{NAME}")
    store_of(url).put(url, b"b\nc\n", {})
    return url


def test_lines_that_are_missing_are_added_and_none_is_removed(url: ObjectUrl, tmp_path: Path) -> None:
    path = tmp_path / "new" / NAME
    assert merge_lines(Disk(), url, path)
    assert path.read_bytes() == b"b\nc\n"
    path.write_bytes(b"a\nb")
    assert merge_lines(Disk(), url, path)
    assert path.read_bytes() == b"a\nb\nc\n"
    assert not merge_lines(Disk(), url, path)


def test_an_object_with_another_sha256_adds_nothing(url: ObjectUrl, tmp_path: Path) -> None:
    store_of(url).put(url, b"b\n", {"sha256": "1" * 64})
    with pytest.raises(DeedboxError, match="1111 expected"):
        merge_lines(Disk(), url, tmp_path / NAME)
    assert not (tmp_path / NAME).exists()


def test_a_file_that_another_process_changes_is_left_alone(url: ObjectUrl, tmp_path: Path) -> None:
    with held(Disk(), tmp_path / f"{NAME}.lock"), pytest.raises(DeedboxError, match="another process changes it"):
        merge_lines(Disk(), url, tmp_path / NAME)
    assert not (tmp_path / NAME).exists()
