import os
from pathlib import Path

import pytest

from codec.event import Event
from codec.gap import Gap
from consumer.convert.formats import FileFormat
from consumer.convert.imports import events_of
from consumer.convert.input_file import InputFile

FOREIGN = Path(__file__).parents[2] / "data" / "foreign"


def found(path: Path, format: str) -> list[Event | Gap]:
    return list(events_of(path, FileFormat(format)))


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    fd = os.open(tmp_path / "pipe", os.O_RDWR)
    with pytest.raises(OSError, match="not a regular file"):
        found(tmp_path / "pipe", "jsonl")
    os.close(fd)


def test_a_file_is_sliced_and_searched_like_bytes(tmp_path: Path) -> None:
    raw = bytes(70_000) + b"needle" + bytes(10)
    (tmp_path / "x").write_bytes(raw)
    with InputFile(tmp_path / "x") as file:
        assert (len(file), file[70_000:70_006], file[5:3]) == (len(raw), b"needle", b"")
        assert (file.find(b"needle"), file.find(b"needle", 70_001), file.find(b"needle", 0, 70_005)) == (70_000, -1, -1)
