from pathlib import Path

import pytest

from consumer.errors import DeedboxError
from consumer.ship.plain_file import PIECE_BYTES, PlainFile


def test_files_follow_each_other(tmp_path: Path) -> None:
    contents = [b"a\n", b"", b"b" * (PIECE_BYTES + 5)]
    paths = [tmp_path / str(number) for number in range(3)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    with PlainFile(paths) as plain:
        facts = plain.read_whole()
        assert b"".join(plain.pieces()) == b"".join(contents)
    assert facts.size == sum(map(len, contents))


def test_a_file_that_is_replaced_is_read_as_it_was(tmp_path: Path) -> None:
    path, fresh = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"before")
    with PlainFile([path]) as plain:
        plain.read_whole()
        fresh.write_bytes(b"after")
        fresh.rename(path)
        assert b"".join(plain.pieces()) == b"before"


@pytest.mark.parametrize("content", [b"beforE", b"bef", b""])
def test_a_file_that_is_written_in_place_makes_no_object(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with PlainFile([path]) as plain:
        plain.read_whole()
        path.write_bytes(content)
        with pytest.raises(DeedboxError, match="while it was read"):
            list(plain.pieces())


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(FileNotFoundError):
        PlainFile([tmp_path / "a", tmp_path / "b"])
