"""The worked example of FORMAT.md is encoded and decoded here."""

import re
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from codec import archive, kvp
from codec import filter as bloom
from codec.archive import BatchHeader
from codec.digest import Signature, decode_digest, encode_digest
from codec.event import Event, parse_time
from codec.footer import decode_footer, encode_footer, encode_row
from codec.parts import checksum_of
from codec.seektable import decode_seek_table, encode_seek_table
from codec.watermark import Watermark, encode_watermark

PAGE = Path(archive.__file__).with_name("FORMAT.md").read_text()
PARTS = {
    name: bytes.fromhex(text)
    for name, text in re.findall(r"^```hex ([a-z ]+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
}
TIME_US = parse_time("2026-11-21T16:15:00.123456Z")
EVENT = Event("m-1", "greeting", TIME_US, TIME_US, "ex", "rk", b"\x00\x80\x03m-1", b"hi")


def test_the_head_is_packed_as_the_page_says() -> None:
    head = archive.Head("demo", 1, parse_time("2026-11-21T16:15:00Z"), "", "wire", 4000, None)
    assert archive.encode_head(head) == PARTS["head"]


def test_the_record_is_encoded_as_the_page_says() -> None:
    (record,) = kvp.encode(EVENT, "demo-00000001.0")
    key, value = PAGE.partition("with this key and this value:\n\n```\n")[2].partition("\n```")[0].split("\n")
    assert record[:512].rstrip(b"\0").decode() == key
    assert record[512:].rstrip(b"\0").decode() == value.replace("\\u0080", "\x80")


def test_the_batch_is_read_as_the_page_says() -> None:
    header = archive.decode_batch_header(PARTS["batch header"])
    assert header.previous == checksum_of(PARTS["head"])
    assert (header.number, header.records, header.events, header.first_us, header.raw) == (0, 1, 1, TIME_US, 2560)
    assert header.compressed == len(PARTS["zstd frame"])
    assert list(kvp.decode(b"".join(archive.decompress([PARTS["zstd frame"]], header)))) == [EVENT]
    assert archive.encode_batch_header(header) == PARTS["batch header"]
    assert header.first_event == 0


def test_the_footer_is_packed_as_the_page_says() -> None:
    footer, (row,) = decode_footer(PARTS["footer"])
    words = bloom.build([bloom.key_hash("id", "m-1"), bloom.key_hash("type", "greeting")])
    header = archive.decode_batch_header(PARTS["batch header"])
    assert row.header == header
    assert footer.last_check == header.check
    assert encode_footer(footer, [encode_row(header, words)], [words]) == PARTS["footer"]


def test_the_watermark_is_packed_as_the_page_says() -> None:
    size = sum(len(PARTS[name]) for name in ("head", "batch header", "zstd frame"))
    assert encode_watermark(Watermark(1, 1, size)) == PARTS["watermark"]


def test_the_seek_table_is_packed_as_the_page_says() -> None:
    names = ["head", "batch header", "zstd frame", "footer"]
    frames = [(len(PARTS[name]), 2560 if name == "zstd frame" else 0) for name in names]
    assert encode_seek_table(frames) == PARTS["seek table"]
    assert decode_seek_table(PARTS["seek table"]) == frames


def test_a_filter_is_computed_as_the_page_says() -> None:
    """Computed only from the description on the page."""
    from xxhash import xxh3_64_intdigest

    word = 0
    for key in ("id:m-1", "type:greeting"):
        spread = ((xxh3_64_intdigest(key.encode()) >> 52) + 1) * 0x9E3779B97F4A7C15 % 2**64
        bits = dict.fromkeys((spread >> shift) % 64 for shift in range(58, 0, -6))
        word |= sum(1 << bit for bit in list(bits)[:5])
    assert list(decode_footer(PARTS["footer"])[1][0].words) == [word]


def test_a_golden_archive_of_version_1_is_read_for_ever() -> None:
    golden = Path(__file__).parents[1] / "data" / "golden-v1.kvp.zst"
    raw = b"".join(PARTS[name] for name in ("head", "batch header", "zstd frame", "footer", "seek table"))
    assert golden.read_bytes() == raw


def test_the_digest_is_encoded_and_signed_as_the_page_says() -> None:
    (raw,) = (text.encode() for text in re.findall(r"^```json digest\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    found = decode_digest(raw)
    assert found.raw == raw
    assert encode_digest(found.digest) == found.line
    archive = b"".join(PARTS[name] for name in ("head", "batch header", "zstd frame", "footer", "seek table"))
    (listed,) = found.digest.archives
    assert (listed.sha256, listed.size) == (sha256(archive).hexdigest(), len(archive))
    assert listed.footer == sha256(PARTS["footer"] + PARTS["seek table"]).hexdigest()
    assert listed.head == f"{checksum_of(PARTS['head']):016x}"
    assert (listed.first_event, listed.last_event, listed.first_arrived_us) == (0, 0, TIME_US)
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    name = sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]
    assert found.signature == Signature.of(name, key.sign(found.line))


def test_a_row_has_the_size_that_the_page_says() -> None:
    row = encode_row(BatchHeader(0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0), b"")
    assert f"A row has {len(row)} bytes" in PAGE
