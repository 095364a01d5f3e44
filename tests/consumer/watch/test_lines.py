"""Bytes become lines, and long lines become pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.watch import lines
from consumer.watch.lines import LineSplitter


@given(st.lists(st.binary(max_size=9)), st.integers(1, 5))
def test_every_byte_is_returned_once_whatever_the_chunks_are(chunks: list[bytes], count: int) -> None:
    splitter = LineSplitter("c", 100, 100, b"")
    raw = b"".join(chunks)
    found = []
    for chunk in chunks:
        splitter.feed(chunk)
        found += splitter.lines(count)
    while more := splitter.lines(count):
        found += more
    found += splitter.remainder()
    assert [line.text for line in found] == raw.split(b"\n")[: len(found)]
    assert splitter.offset == 100 + len(raw)
    assert splitter.tail == raw[-lines.FINGERPRINT_BYTES :]
    assert splitter.buffered == b""


def test_each_line_has_its_own_offset_and_the_offset_after_it() -> None:
    splitter = LineSplitter("c", 10, 10, b"before")
    splitter.feed(b"one\ntwo\nthr")
    assert [(line.text, line.start, line.offset) for line in splitter.lines(9)] == [(b"one", 10, 14), (b"two", 14, 18)]
    assert splitter.lines(9) == []
    assert splitter.tail == b"beforeone\ntwo\n"


def test_a_piece_in_the_middle_of_a_line_keeps_the_offset_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PIECE_BYTES", 4)
    splitter = LineSplitter("c", 8, 0, b"")
    splitter.feed(b"abcdef\n")
    assert [(line.start, line.piece, line.last) for line in splitter.lines(9)] == [(0, 2, False), (0, 3, True)]


def test_a_piece_with_its_headers_is_smaller_than_the_default_limit_of_the_broker() -> None:
    """RabbitMQ 4 takes messages of 16 MiB; a line was cut at 17 MiB, and refused at each attempt."""
    assert lines.PIECE_BYTES <= 8 << 20
