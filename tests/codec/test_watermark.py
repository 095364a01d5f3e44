import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import CodecError
from codec.watermark import WATERMARK_BYTES, Watermark, decode_watermark, encode_watermark

COUNT = st.integers(0, 2**64 - 1)


@given(st.builds(Watermark, COUNT, COUNT, COUNT))
def test_a_watermark_comes_back(mark: Watermark) -> None:
    raw = encode_watermark(mark)
    assert len(raw) == WATERMARK_BYTES
    assert decode_watermark(raw) == mark


@given(st.integers(0, WATERMARK_BYTES - 1))
def test_a_watermark_that_was_read_while_it_was_written_is_not_another_watermark(written: int) -> None:
    old, new = encode_watermark(Watermark(7, 100, 5000)), encode_watermark(Watermark(8, 2, 300))
    mixed = new[:written] + old[written:]
    if mixed != old:
        with pytest.raises(CodecError):
            decode_watermark(mixed)


@pytest.mark.parametrize("raw", [b"", b"junk", bytes(WATERMARK_BYTES), encode_watermark(Watermark(1, 1, 1)) + b"x"])
def test_another_content_is_an_error(raw: bytes) -> None:
    with pytest.raises(CodecError):
        decode_watermark(raw)


def test_a_newer_version_is_refused() -> None:
    from xxhash import xxh3_64_intdigest

    raw = bytearray(encode_watermark(Watermark(1, 1, 1))[:-8])
    raw[8] = 2
    with pytest.raises(CodecError, match="version 2"):
        decode_watermark(bytes(raw) + xxh3_64_intdigest(bytes(raw)).to_bytes(8, "little"))
