"""Test values: strategies for the parts of an archive, and a whole archive encoded by the codec alone."""

from dataclasses import replace

from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from codec import archive, kvp
from codec import filter as bloom
from codec.archive import BatchHeader, Head, Previous
from codec.footer import Footer, encode_footer, encode_row
from codec.gap import Gap, GapKind
from codec.limits import SHARED_RAW_MAX
from codec.parts import checksum_of
from codec.profiles import RECORD_BYTES
from codec.seektable import encode_seek_table
from tests.codec.strategies import texts
from tests.codec.test_kvp import PLAIN

HEAD = Head("host", 7, 1_763_741_700_123_456, "boot", "wire", 4000, Previous("before.kvp.zst", "ab" * 32, 9), 6)
u32, u64, i64 = st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1), st.integers(-(1 << 63), (1 << 63) - 1)
_records = st.integers(0, SHARED_RAW_MAX // RECORD_BYTES)
batch_headers = st.builds(
    BatchHeader, u32, _records, u32, st.integers(0, 1 << 17), st.just(0), u32, i64, i64, i64, i64, u64, u64, check=st.just(0)
).map(lambda header: replace(header, raw=header.records * RECORD_BYTES))  # fmt: skip
utf8 = texts.map(lambda text: text.encode("utf-8", "replace").decode())
heads = st.builds(
    Head, utf8, u32, i64, utf8, st.sampled_from(["wire", "host"]), u32, st.none() | st.builds(Previous, utf8, st.none() | utf8, u32), u32,
)  # fmt: skip
footers = st.builds(
    Footer, u32, u32, u32, u32, u64, st.dictionaries(utf8, u32, max_size=3), st.dictionaries(utf8, u32, max_size=3), st.booleans(),
    st.lists(st.builds(Gap, u32, u32, st.sampled_from(GapKind), utf8, st.none() | u32, st.none() | u32), max_size=2), st.none() | utf8,
)  # fmt: skip


def small_archive(batches: int = 3) -> bytes:
    """A whole archive with one event per batch."""
    raw = archive.encode_head(HEAD)
    frames, rows, words, link = [(len(raw), 0)], [], [], checksum_of(raw)
    for number in range(batches):
        records = b"".join(kvp.encode(PLAIN._replace(id=f"id-{number}"), f"host-00000007.{number}"))
        frame = archive.compress(records, 3)
        times = (PLAIN.time_us, PLAIN.time_us, PLAIN.arrived_us, PLAIN.arrived_us)
        header = archive.encode_batch_header(
            BatchHeader(number, 1, 1, len(frame), len(records), number, *times, xxh3_64_intdigest(frame), link, check=0)
        )
        link = checksum_of(header)
        raw += header + frame
        frames += [(len(header), 0), (len(frame), len(records))]
        words.append(bloom.build([bloom.key_hash("id", f"id-{number}")]))
        rows.append(encode_row(archive.decode_batch_header(header), words[-1]))
    footer = encode_footer(
        Footer(batches, batches, batches, batches * 2560, link, {"a.type": batches}, {}), rows, words
    )
    return raw + footer + encode_seek_table([*frames, (len(footer), 0)])
