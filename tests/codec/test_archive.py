import io
from dataclasses import replace

import indexed_zstd
import pytest
import pyzstd
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from codec import archive, kvp
from codec import filter as bloom
from codec.archive import BatchHeader, Footer, Head, IndexRow, Previous
from codec.errors import CodecError, Corrupt, TooLarge, Truncated, UnsupportedVersion
from tests.codec.strategies import texts
from tests.codec.test_kvp import PLAIN

HEAD = Head("host", 7, 1_763_741_700_123_456, "boot", "wire", 4000, Previous("before.kvp.zst", "ab" * 32))
u32, u64, i64 = st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1), st.integers(-(1 << 63), (1 << 63) - 1)
batch_headers = st.builds(BatchHeader, u32, u32, u32, u32, u32, i64, i64, i64, i64, u64, u64, check=st.just(0))
utf8 = texts.map(lambda text: text.encode("utf-8", "replace").decode())
heads = st.builds(
    Head,
    utf8,
    u32,
    i64,
    utf8,
    st.sampled_from(["wire", "host"]),
    u32,
    st.none() | st.builds(Previous, utf8, st.none() | utf8),
)
footers = st.builds(
    Footer, u32, u32, u32, u32, u64, st.dictionaries(utf8, u32, max_size=3), st.dictionaries(utf8, u32, max_size=3), st.booleans(),
)  # fmt: skip


def small_archive(batches: int = 3) -> bytes:
    """A whole archive by the codec alone."""
    raw = archive.encode_head(HEAD)
    frames, rows, words, link = [(len(raw), 0)], [], [], archive.first_link(raw)
    for number in range(batches):
        records = b"".join(kvp.encode(PLAIN._replace(id=f"id-{number}"), f"host-00000007.{number}"))
        frame = archive.compress(records, 3)
        times = (PLAIN.time_us, PLAIN.time_us, PLAIN.arrived_us, PLAIN.arrived_us)
        header = archive.encode_batch_header(
            BatchHeader(number, 1, 1, len(frame), len(records), *times, xxh3_64_intdigest(frame), link, check=0)
        )
        link = archive.first_link(header)
        raw += header + frame
        frames += [(len(header), 0), (len(frame), len(records))]
        words.append(bloom.build([bloom.key_hash("id", f"id-{number}")]))
        rows.append(archive.encode_row(archive.decode_batch_header(header), words[-1]))
    footer = archive.encode_footer(
        Footer(batches, batches, batches, batches * 2560, link, {"a.type": batches}, {}), rows, words
    )
    return raw + footer + archive.encode_seek_table([*frames, (len(footer), 0)])


@given(heads)
def test_heads_round_trip(head: Head) -> None:
    assert archive.decode_head(archive.encode_head(head)) == head


@given(batch_headers)
def test_batch_headers_round_trip(header: BatchHeader) -> None:
    raw = archive.encode_batch_header(header)
    assert len(raw) == archive.BATCH_HEADER_BYTES == 96
    assert raw[:16] == archive.BATCH_MARK
    assert archive.decode_batch_header(raw) == replace(header, check=archive.first_link(raw))


@given(footers, st.lists(st.tuples(batch_headers, st.integers(0, 3)), max_size=6))
def test_footers_round_trip_with_filters_of_any_sizes(footer: Footer, batches: list[tuple[BatchHeader, int]]) -> None:
    words = [bytes(range(8)) * (1 << size) if size else b"" for _, size in batches]
    rows = [archive.encode_row(header, one) for (header, _), one in zip(batches, words, strict=True)]
    raw = archive.encode_footer(footer, rows, words)
    found, index = archive.decode_footer(raw)
    assert found == footer
    assert [row.header for row in index] == [header for header, _ in batches]
    assert [list(row.words) for row in index] == [
        [int.from_bytes(bytes(range(8)), "little")] * (len(one) // 8) for one in words
    ]
    assert archive.footer_bytes(raw[-archive.FOOTER_END_BYTES :]) == len(raw)


def test_the_words_of_one_rank_stand_side_by_side() -> None:
    """A look-up reads one stretch of the footer, however many batches there are."""
    header = BatchHeader(0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
    words = [b"A" * 8 + b"a" * 8, b"B" * 8 + b"b" * 8]
    raw = archive.encode_footer(
        Footer(2, 2, 2, 2, 0, {}, {}), [archive.encode_row(header, one) for one in words], words
    )
    assert b"A" * 8 + b"B" * 8 + b"a" * 8 + b"b" * 8 in raw


DECODERS = [archive.decode_head, archive.decode_batch_header, archive.decode_footer, archive.decode_seek_table]


@pytest.mark.parametrize("decode", DECODERS)
@given(raw=st.binary() | st.binary().map(lambda tail: archive.BATCH_MARK + tail))
def test_any_bytes_are_a_part_or_a_codec_error(decode, raw: bytes) -> None:
    try:
        decode(raw)
    except CodecError:
        pass


@given(raw=st.binary(max_size=200) | st.recursive(st.just(b"1"), lambda inner: inner.map(lambda x: b"[" + x + b"]")))
def test_any_json_with_a_right_checksum_is_a_part_or_a_codec_error(raw: bytes) -> None:
    for kind, decode in (
        (archive.HEAD, archive.decode_head),
        (archive.FOOTER, archive.decode_footer),
        (archive.BATCH, archive.decode_batch_header),
    ):
        try:
            decode(archive._frame(kind, raw))
        except CodecError:
            pass


def test_every_flipped_bit_of_a_header_shows() -> None:
    raw = archive.encode_batch_header(BatchHeader(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0))
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            archive.decode_batch_header(bytes(flipped))


def test_a_newer_version_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "VERSION", 9)
    raw = archive.encode_head(HEAD)
    monkeypatch.undo()
    with pytest.raises(UnsupportedVersion, match="format version 9, this Deedbox reads up to 1"):
        archive.decode_head(raw)


def test_a_part_of_another_kind_or_a_foreign_file_says_so() -> None:
    with pytest.raises(Corrupt, match="part of kind 1, version 1; kind 2 expected"):
        archive.decode_batch_header(archive.encode_head(HEAD))
    with pytest.raises(Corrupt, match="1f 8b 08"):
        archive.frame_bytes(b"\x1f\x8b\x08" + bytes(20))
    with pytest.raises(Truncated):
        archive.frame_bytes(b"short")


def test_limits_are_kept() -> None:
    with pytest.raises(TooLarge, match="head of"):
        archive.encode_head(replace(HEAD, instance="x" * 70_000))
    with pytest.raises(TooLarge):
        archive.encode_batch_header(BatchHeader(1 << 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))


def test_a_changed_or_forged_frame_is_corrupt() -> None:
    records = b"".join(kvp.encode(PLAIN, "i"))
    frame = archive.compress(records, 1)
    header = BatchHeader(0, 1, 1, len(frame), len(records), 0, 0, 0, 0, xxh3_64_intdigest(frame), 0, 0)
    assert archive.decompress(frame, header) == records
    with pytest.raises(Corrupt, match="frame checksum"):
        archive.decompress(frame[:-1] + b"\0", header)
    with pytest.raises(Corrupt, match="5 bytes in 1 records"):
        archive.decompress(frame, replace(header, raw=5))
    with pytest.raises(Corrupt, match="another size than 5120 bytes"):
        archive.decompress(frame, replace(header, raw=5120, records=2))
    bomb = frame + archive.compress(bytes(1 << 20), 1)
    with pytest.raises(Corrupt, match="another size"):
        archive.decompress(bomb, replace(header, frame_check=xxh3_64_intdigest(bomb)))
    with pytest.raises(Corrupt, match="zstd"):
        archive.decompress(b"junk", replace(header, frame_check=xxh3_64_intdigest(b"junk")))


def test_the_seek_table_is_followed_by_foreign_readers() -> None:
    raw = small_archive(5)
    with pyzstd.SeekableZstdFile(io.BytesIO(raw)) as file:
        file.seek(2560 * 3)
        assert b"|id-3|0" in file.read(512)


def test_indexed_zstd_follows_it_too(tmp_path) -> None:
    path = tmp_path / "a.zst"
    path.write_bytes(small_archive(5))
    file = indexed_zstd.IndexedZstdFile(str(path))
    file.seek(2560 * 4)
    assert b"|id-4|0" in file.read(512)
    file.close()


def test_a_seek_table_that_does_not_end_the_file_is_refused() -> None:
    table = archive.encode_seek_table([(10, 0), (20, 2560)])
    assert archive.decode_seek_table(table) == [(10, 0), (20, 2560)]
    assert archive.seek_table_bytes(table[-archive.SEEK_END_BYTES :]) == len(table)
    for damaged in (table[:-1], table + b"x", b"", table[1:]):
        with pytest.raises(CodecError):
            archive.decode_seek_table(damaged)


def test_index_rows_name_their_words() -> None:
    assert (
        IndexRow(
            archive.decode_batch_header(archive.encode_batch_header(BatchHeader(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))),
            (),
        ).words
        == ()
    )
