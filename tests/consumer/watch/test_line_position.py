"""A position matches the file that holds the bytes before it, and no other file."""

import os
from pathlib import Path

from consumer.watch.line_position import LinePosition, matches, seen_bytes
from consumer.watch.open_file import OpenFile


def test_the_fingerprint_covers_the_beginning_and_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%07d\n" % number for number in range(1000)))
    file = OpenFile(os.open(path, os.O_RDONLY))
    assert len(file.read(1000, 1 << 20)) == 1000
    assert (file.position.offset, file.position.head_bytes) == (8000, 1024)
    assert matches(file.fd, file.position)
    for place in (0, 1023, 8000 - 1024, 7999):
        raw = bytearray(path.read_bytes())
        raw[place] ^= 1
        (path.parent / "other").write_bytes(raw)
        other = os.open(path.parent / "other", os.O_RDONLY)
        assert not matches(other, file.position)
        os.close(other)
    assert not file.was_truncated()
    path.write_bytes(path.read_bytes().replace(b"0000001", b"1000001"))
    assert file.was_truncated()
    file.close()


def test_the_bytes_that_were_seen_need_not_have_been_read() -> None:
    assert seen_bytes(LinePosition(1, 0, 0, 8, 0, "c")) == 8
    assert seen_bytes(LinePosition(1, 5000, 5000, 1024, 0, "c")) == 5000
