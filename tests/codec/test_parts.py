import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import archive, parts
from codec.errors import CodecError, Corrupt, Truncated, UnsupportedVersion
from codec.footer import decode_footer
from codec.seektable import decode_seek_table
from tests.codec.samples import HEAD

DECODERS = [archive.decode_head, archive.decode_batch_header, decode_footer, decode_seek_table]


@pytest.mark.parametrize("decode", DECODERS)
@given(raw=st.binary() | st.binary().map(lambda tail: archive.BATCH_PREFIX + tail))
def test_any_bytes_are_a_part_or_a_codec_error(decode, raw: bytes) -> None:
    try:
        decode(raw)
    except CodecError:
        pass


@given(raw=st.binary(max_size=200) | st.integers(0, 3000).map(lambda depth: b"[" * depth))
def test_any_body_with_a_right_checksum_is_a_part_or_a_codec_error(raw: bytes) -> None:
    kinds = (
        (parts.PartKind.HEAD, archive.decode_head),
        (parts.PartKind.FOOTER, decode_footer),
        (parts.PartKind.BATCH_HEADER, archive.decode_batch_header),
    )
    for kind, decode in kinds:
        try:
            decode(parts.encode_part(kind, raw))
        except CodecError:
            pass


def test_a_newer_version_is_reported_and_a_flipped_bit_is_not_confused_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parts, "VERSION", 9)
    raw = parts.encode_part(parts.PartKind.HEAD, b"{}")
    monkeypatch.undo()
    with pytest.raises(UnsupportedVersion, match="format version 9 found, this Deedbox reads up to version 1"):
        archive.decode_head(raw)
    flipped = bytearray(archive.encode_head(HEAD))
    flipped[13] = 9
    with pytest.raises(Corrupt, match="checksum"):
        archive.decode_head(bytes(flipped))


def test_a_part_of_another_kind_and_another_file_are_reported() -> None:
    with pytest.raises(Corrupt, match="part of kind 1 and version 1 found, kind 2 expected"):
        archive.decode_batch_header(archive.encode_head(HEAD))
    with pytest.raises(Corrupt, match="1f 8b 08"):
        parts.part_size(b"\x1f\x8b\x08" + bytes(20))
    with pytest.raises(Truncated):
        parts.part_size(b"short")


def test_a_part_holds_its_own_size() -> None:
    raw = archive.encode_head(HEAD)
    assert parts.part_size(raw[:16]) == len(raw)
