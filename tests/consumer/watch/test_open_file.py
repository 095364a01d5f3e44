"""One open file: lines, pieces of long lines, truncation."""

import os
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.watch import lines, open_file
from consumer.watch.line_position import LinePosition
from consumer.watch.lines import Line
from consumer.watch.open_file import OpenFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "log").touch()
    return tmp_path / "log"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PIECE_BYTES", 10)
    monkeypatch.setattr(open_file, "READ_BYTES", 7)


def opened(path: Path, position: LinePosition | None = None) -> OpenFile:
    return OpenFile(os.open(path, os.O_RDONLY), position)


def read_all(file: OpenFile, count: int = 500, size: int = 1 << 20) -> Iterator[Line]:
    while found := file.read(count, size):
        yield from found


def shape(found: list[Line]) -> list[tuple[bytes, int | None, bool]]:
    return [(line.text, line.piece, line.last) for line in found]


def test_a_long_line_is_returned_in_numbered_pieces(path: Path) -> None:
    path.write_bytes(b"short\n" + b"x" * 25 + b"\n" + b"y" * 10 + b"\nshort\n")
    file = opened(path)
    assert shape(list(read_all(file))) == [
        (b"short", None, True),
        (b"x" * 10, 0, False),
        (b"x" * 10, 1, False),
        (b"x" * 5, 2, True),
        (b"y" * 10, None, True),
        (b"short", None, True),
    ]
    file.close()


def test_pieces_that_end_with_their_line_are_the_last(path: Path) -> None:
    path.write_bytes(b"x" * 20 + b"\nz\n")
    file = opened(path)
    assert shape(list(read_all(file))) == [(b"x" * 10, 0, False), (b"x" * 10, 1, True), (b"z", None, True)]
    file.close()


def test_a_long_line_is_returned_in_pieces_while_it_grows(path: Path) -> None:
    path.write_bytes(b"x" * 25)
    file = opened(path)
    assert shape(list(read_all(file))) == [(b"x" * 10, 0, False), (b"x" * 10, 1, False)]
    assert shape(file.remainder()) == [(b"x" * 5, 2, True)]
    assert file.remainder() == []
    file.close()


@given(st.lists(st.binary(max_size=40), max_size=6), st.data())
def test_pieces_are_cut_at_the_same_offsets_in_every_run(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], data: st.DataObject
) -> None:
    """Their message ids are made of those places."""
    path = tmp_path_factory.mktemp("pieces") / "log"
    raw = b"".join(text.replace(b"\n", b"") + b"\n" for text in texts)
    path.write_bytes(raw)
    file = opened(path)
    whole = list(read_all(file))
    file.close()
    assert b"".join(line.text + b"\n" * line.last for line in whole) == raw
    assert all(len(line.text) <= 10 for line in whole)
    again: list[Line] = []
    file = opened(path)
    while found := file.read(data.draw(st.integers(1, 3)), data.draw(st.integers(1, 30))):
        again += found
        position = file.position
        file.close()
        file = opened(path, position)
    file.close()
    assert [line._replace(content_id="") for line in again] == [line._replace(content_id="") for line in whole]


def test_a_read_stops_after_the_given_number_of_bytes(path: Path) -> None:
    """A batch was bounded by lines only: 60 lines of 8 MiB were held at once."""
    path.write_bytes((b"x" * 9 + b"\n") * 100)
    file = opened(path)
    assert len(file.read(500, 20)) <= 4
    file.close()


def test_a_truncation_is_noticed_before_the_first_line_is_read(path: Path) -> None:
    file = opened(path)
    assert not file.was_truncated()
    path.write_bytes(b"one\ntwo\n")
    assert not file.was_truncated()
    assert (file.position.offset, file.position.head_bytes) == (0, 8)
    path.write_bytes(b"other\nlines\n")
    assert file.was_truncated()
    file.close()


def test_the_time_to_read_grows_with_the_bytes_and_not_with_their_square(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line copied all that was read ahead."""
    monkeypatch.setattr(open_file, "READ_BYTES", 8 << 20)

    def seconds(count: int) -> float:
        path.write_bytes(b"a line\n" * count)
        best = 60.0
        for _ in range(3):
            file = opened(path)
            began = process_time()
            assert len(file.read(count, 8 << 20)) == count
            best = min(best, process_time() - began)
            file.close()
        return best

    assert seconds(160_000) < 80 * seconds(10_000)  # 16 times as long if linear, 256 times if not
