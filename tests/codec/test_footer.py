import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import filter as bloom
from codec.archive import BatchHeader
from codec.errors import Corrupt, Truncated
from codec.footer import (
    FOOTER_END_BYTES,
    INDEX_START_BYTES,
    Footer,
    decode_footer,
    decode_index,
    encode_footer,
    encode_row,
    footer_bytes,
    index_bytes,
    words_of,
)
from tests.codec.samples import batch_headers, footers


@given(footers, st.lists(st.tuples(batch_headers, st.integers(0, 3)), max_size=6))
def test_footers_round_trip_with_filters_of_any_sizes(footer: Footer, batches: list[tuple[BatchHeader, int]]) -> None:
    words = [bytes(range(8)) * (1 << size) if size else b"" for _, size in batches]
    rows = [encode_row(header, one) for (header, _), one in zip(batches, words, strict=True)]
    raw = encode_footer(footer, rows, words)
    found, index = decode_footer(raw)
    assert found == footer
    assert [row.header for row in index] == [header for header, _ in batches]
    assert [list(row.words) for row in index] == [
        [int.from_bytes(bytes(range(8)), "little")] * (len(one) // 8) for one in words
    ]
    assert footer_bytes(raw[-FOOTER_END_BYTES:]) == len(raw)


def test_the_words_of_one_index_are_stored_together() -> None:
    """A look-up reads one range of the footer for any number of batches."""
    header = BatchHeader(0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    words = [b"A" * 8 + b"a" * 8, b"B" * 8 + b"b" * 8]
    raw = encode_footer(Footer(2, 2, 2, 2, 0, {}, {}), [encode_row(header, one) for one in words], words)
    assert b"A" * 8 + b"B" * 8 + b"a" * 8 + b"b" * 8 in raw


@given(
    footers,
    st.lists(st.tuples(batch_headers, st.lists(st.integers(0, (1 << 64) - 1), max_size=40)), min_size=1, max_size=8),
)
def test_the_index_alone_finds_the_words_of_a_key(footer: Footer, batches: list[tuple[BatchHeader, list[int]]]) -> None:
    """A search reads the rows and one range of words for each filter size, and never misses a batch."""
    words = [bloom.build(keys) if keys else b"" for _, keys in batches]
    rows = [encode_row(header, one) for (header, _), one in zip(batches, words, strict=True)]
    raw = encode_footer(footer, rows, words)
    size = index_bytes(raw[:INDEX_START_BYTES])
    index = decode_index(raw[:size])
    assert (index.footer, index.headers) == (footer, [header for header, _ in batches])
    assert [words * 8 for words in index.filter_sizes] == [len(one) for one in words]
    for number, (_, keys) in enumerate(batches):
        for key in keys:
            found = {
                member
                for members, at in index.ranges(key)
                for member, word in zip(members, words_of(raw[size + at : size + at + 8 * len(members)]), strict=True)
                if bloom.may_hold(word, key)
            }
            assert number in found


def test_an_index_that_leaves_its_footer_is_refused() -> None:
    raw = encode_footer(Footer(0, 0, 0, 0, 0, {}, {}), [], [])
    with pytest.raises(Truncated):
        index_bytes(raw[:20])
    with pytest.raises(Corrupt, match="with an index of"):
        index_bytes(raw[:16] + b"\xff\xff\x7f\0" + raw[20:24])
