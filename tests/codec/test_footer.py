from hypothesis import given
from hypothesis import strategies as st

from codec.archive import BatchHeader
from codec.footer import FOOTER_END_BYTES, Footer, decode_footer, encode_footer, encode_row, footer_bytes
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


def test_the_words_of_one_rank_stand_side_by_side() -> None:
    """A look-up reads one stretch of the footer, however many batches there are."""
    header = BatchHeader(0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
    words = [b"A" * 8 + b"a" * 8, b"B" * 8 + b"b" * 8]
    raw = encode_footer(Footer(2, 2, 2, 2, 0, {}, {}), [encode_row(header, one) for one in words], words)
    assert b"A" * 8 + b"B" * 8 + b"a" * 8 + b"b" * 8 in raw
