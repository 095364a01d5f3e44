from dataclasses import replace

import pytest
from hypothesis import given
from xxhash import xxh3_64_intdigest

from codec import archive, kvp
from codec.archive import BatchHeader, Head
from codec.errors import CodecError, Corrupt, TooLarge
from codec.parts import check_of
from tests.codec.samples import HEAD, batch_headers, heads
from tests.codec.test_kvp import PLAIN


@given(heads)
def test_heads_round_trip(head: Head) -> None:
    assert archive.decode_head(archive.encode_head(head)) == head


@given(batch_headers)
def test_batch_headers_round_trip(header: BatchHeader) -> None:
    raw = archive.encode_batch_header(header)
    assert len(raw) == archive.BATCH_HEADER_BYTES == 96
    assert raw[:16] == archive.BATCH_MARK
    assert archive.decode_batch_header(raw) == replace(header, check=check_of(raw))


def test_every_flipped_bit_of_a_header_shows() -> None:
    raw = archive.encode_batch_header(BatchHeader(1, 2, 3, 4, 5, 20, 6, 7, 8, 9, 10, 11, 0))
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            archive.decode_batch_header(bytes(flipped))


def test_limits_are_kept() -> None:
    with pytest.raises(TooLarge, match="head of"):
        archive.encode_head(replace(HEAD, instance="x" * 70_000))
    with pytest.raises(TooLarge):
        archive.encode_batch_header(BatchHeader(1 << 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))


def test_a_changed_or_forged_frame_is_corrupt() -> None:
    records = b"".join(kvp.encode(PLAIN, "i"))
    frame = archive.compress(records, 1)
    header = BatchHeader(0, 1, 1, len(frame), len(records), 0, 0, 0, 0, 0, xxh3_64_intdigest(frame), 0, 0)
    assert archive.decompress(frame, header) == records
    with pytest.raises(Corrupt, match="frame checksum"):
        archive.decompress(frame[:-1] + b"\0", header)
    with pytest.raises(Corrupt, match="5 bytes in 1 records"):
        archive.decompress(frame, replace(header, raw=5))
    with pytest.raises(Corrupt, match="another size than 5120 bytes"):
        archive.decompress(frame, replace(header, raw=5120, records=2))
    with pytest.raises(Corrupt, match="zstd"):
        archive.decompress(b"junk", replace(header, frame_check=xxh3_64_intdigest(b"junk")))


def test_a_frame_that_would_take_the_memory_is_corrupt() -> None:
    records = b"".join(kvp.encode(PLAIN, "i"))
    bomb = archive.compress(records, 1) + archive.compress(bytes(1 << 20), 1)
    header = BatchHeader(0, 1, 1, len(bomb), len(records), 0, 0, 0, 0, 0, xxh3_64_intdigest(bomb), 0, 0)
    with pytest.raises(Corrupt, match="another size"):
        archive.decompress(bomb, header)
