import random
from dataclasses import replace

import pytest
from hypothesis import given
from xxhash import xxh3_64_intdigest

from codec import archive, kvp
from codec.archive import BatchHeader, Head
from codec.errors import CodecError, Corrupt, TooLarge
from codec.limits import BATCH_RAW_MAX, SHARED_RAW_MAX
from codec.parts import checksum_of
from codec.profiles import RECORD_BYTES, SLICES_MAX
from tests.codec.samples import HEAD, batch_headers, heads
from tests.codec.test_kvp import PLAIN


@given(heads)
def test_heads_round_trip(head: Head) -> None:
    assert archive.decode_head(archive.encode_head(head)) == head


@given(batch_headers)
def test_batch_headers_round_trip(header: BatchHeader) -> None:
    raw = archive.encode_batch_header(header)
    assert len(raw) == archive.BATCH_HEADER_BYTES == 96
    assert raw[:16] == archive.BATCH_PREFIX
    assert archive.decode_batch_header(raw) == replace(header, check=checksum_of(raw))


def test_every_flipped_bit_of_a_header_is_detected() -> None:
    raw = archive.encode_batch_header(BatchHeader(1, 2, 3, 4, 5120, 20, 6, 7, 8, 9, 10, 11, 0))
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            archive.decode_batch_header(bytes(flipped))


def test_a_head_beyond_its_limit_is_refused() -> None:
    with pytest.raises(TooLarge, match="head of"):
        archive.encode_head(replace(HEAD, instance="x" * 70_000))
    with pytest.raises(TooLarge):
        archive.encode_batch_header(BatchHeader(1 << 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))


def test_a_batch_beyond_the_limits_is_refused_by_reader_and_writer() -> None:
    records = SHARED_RAW_MAX // RECORD_BYTES
    at_most = BatchHeader(0, records, 2, 9, records * RECORD_BYTES, 0, 0, 0, 0, 0, 0, 0, 0)
    assert archive.decode_batch_header(archive.encode_batch_header(at_most)).records == records
    single = replace(at_most, events=1, records=SLICES_MAX, raw=BATCH_RAW_MAX)
    assert archive.decode_batch_header(archive.encode_batch_header(single)).raw == BATCH_RAW_MAX
    for past in (
        replace(at_most, records=records + 1, raw=at_most.raw + RECORD_BYTES),
        replace(single, records=SLICES_MAX + 1, raw=BATCH_RAW_MAX + RECORD_BYTES),
        replace(at_most, records=1, raw=RECORD_BYTES, compressed=1 << 20),
    ):
        with pytest.raises(TooLarge):
            archive.encode_batch_header(past)
    with pytest.raises(Corrupt, match="5 bytes in 1 record found, 2560 expected"):
        archive.encode_batch_header(replace(at_most, raw=5, records=1))


def decompressed(frame: bytes, header: BatchHeader) -> bytes:
    pieces = [frame[at : at + 7] for at in range(0, len(frame), 7)]
    archive.check_frame(pieces, header)
    return b"".join(archive.decompress(pieces, header))


def test_a_changed_or_forged_frame_is_corrupt() -> None:
    records = b"".join(kvp.encode(PLAIN, "i"))
    frame = archive.compress(records, 1)
    header = BatchHeader(0, 1, 1, len(frame), len(records), 0, 0, 0, 0, 0, xxh3_64_intdigest(frame), 0, 0)
    assert decompressed(frame, header) == records
    with pytest.raises(Corrupt, match="frame checksum"):
        decompressed(frame[:-1] + b"\0", header)
    with pytest.raises(Corrupt, match="less than the 5120 bytes"):
        decompressed(frame, replace(header, raw=5120, records=2))
    for junk in (b"junk", frame[:-1], frame + b"\0", frame + frame, b""):
        with pytest.raises(Corrupt, match="zstd"):
            decompressed(junk, replace(header, frame_check=xxh3_64_intdigest(junk)))


@pytest.mark.parametrize("records", [1, 1024, 4000])
def test_a_frame_that_decompresses_to_more_than_in_its_header_is_corrupt(records: int) -> None:
    bomb = archive.compress(bytes(64 << 20), 1)
    header = BatchHeader(0, records, 1, len(bomb), records * RECORD_BYTES, 0, 0, 0, 0, 0, xxh3_64_intdigest(bomb), 0, 0)
    with pytest.raises(Corrupt, match="decompresses to more than"):
        decompressed(bomb, header)


def test_large_batches_are_decompressed_in_pieces_of_whole_records() -> None:
    records = random.Random(1).randbytes(RECORD_BYTES) * 10_000
    frame = archive.compress(records, 1)
    header = BatchHeader(0, 10_000, 1, len(frame), len(records), 0, 0, 0, 0, 0, xxh3_64_intdigest(frame), 0, 0)
    pieces = list(archive.decompress([frame], header))
    assert b"".join(pieces) == records
    assert {len(piece) % RECORD_BYTES for piece in pieces} == {0}
    assert max(map(len, pieces)) <= 4 << 20
