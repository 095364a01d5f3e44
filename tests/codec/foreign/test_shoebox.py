"""The tests of decoding describe defects of shoebox's own reader."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.foreign import shoebox
from codec.foreign.shoebox import Record
from codec.gap import Gap, GapKind

REAL = (Path(__file__).parents[2] / "data" / "foreign" / "shoebox-v1.bin").read_bytes()
EXAMPLE = bytes.fromhex(
    "84788669 0100 14000000 07000000 00000000 04000000 03000000 05000000 6b6579 76616c7565 03000000 706179"
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
records = st.tuples(st.lists(st.tuples(texts, texts), max_size=4), st.binary(max_size=60))


def big_endian(metadata: list[tuple[str, str]], payload: bytes) -> bytes:
    strings = [text.encode() for pair in metadata for text in pair]
    block = struct.pack(f">{1 + len(strings)}i", 2 * len(strings), *map(len, strings)) + b"".join(strings)
    return (
        struct.pack(">ihiii", 0x69867884, 1, len(block), len(payload) + 4, 0)
        + block
        + struct.pack(">i", len(payload))
        + payload
    )


def pairs(raw: bytes) -> list[object]:
    return [(list(one.metadata), one.payload) if isinstance(one, Record) else one for one in shoebox.decode(raw)]


def test_files_of_shoebox_itself_are_read_and_written_to_the_byte() -> None:
    found = list(shoebox.decode(REAL))
    assert [one.payload for one in found if isinstance(one, Record)][::2] == [b"pay", b"\xff\x00binary\n"]
    assert b"".join(shoebox.encode(one.metadata, one.payload) for one in found if isinstance(one, Record)) == REAL
    assert shoebox.encode([("key", "value")], b"pay") == EXAMPLE == REAL[: len(EXAMPLE)]


@given(st.lists(records, max_size=5), st.lists(st.booleans(), min_size=5, max_size=5))
def test_records_of_both_byte_orders_are_read_from_one_file(wanted: list, orders: list[bool]) -> None:
    """shoebox writes and reads only the byte order of its machine."""
    raw = b"".join(
        (big_endian if big else shoebox.encode)(metadata, payload)
        for (metadata, payload), big in zip(wanted, orders, strict=False)
    )
    assert pairs(raw) == [(metadata, payload) for metadata, payload in wanted]


def test_a_torn_end_is_reported() -> None:
    """shoebox raises EndOfFile for both."""
    for cut in range(len(EXAMPLE) + 1, 2 * len(EXAMPLE)):
        found = list(shoebox.decode((EXAMPLE * 2)[:cut]))
        assert isinstance(found[0], Record)
        assert found[1].kind is GapKind.TORN
        assert (found[1].offset, found[1].size) == (len(EXAMPLE), cut - len(EXAMPLE))
    assert len(list(shoebox.decode(EXAMPLE * 2))) == 2


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, b"\x00"), (4, b"\x02"), (14, b"\x01"), (6, b"\xff\xff\xff\x7f"), (6, b"\xff\xff\xff\xff"), (10, b"\xff\xff\xff\xff"),
     (10, b"\x06\x00\x00\x00"), (18, b"\x05"), (18, b"\xff\xff\xff\xff"), (22, b"\xff\xff\xff\xff"), (26, b"\x06"), (38, b"\x04"), (38, b"\xff\xff\xff\xff")],
)  # fmt: skip
def test_damage_makes_only_one_record_unreadable(at: int, value: bytes) -> None:
    """shoebox stops at an invalid magic, version or end word, and reads to the end of the file for an invalid length."""
    damaged = bytearray(EXAMPLE * 3)
    damaged[len(EXAMPLE) + at : len(EXAMPLE) + at + len(value)] = value
    found = list(shoebox.decode(bytes(damaged)))
    assert [type(one) for one in found] == [Record, Gap, Record]
    assert (found[1].offset, found[1].size) == (len(EXAMPLE), len(EXAMPLE))
    assert found[1].kind is GapKind.DAMAGED


@given(st.binary(max_size=80), st.integers(0, 60))
def test_every_byte_belongs_to_a_record_or_a_gap(noise: bytes, at: int) -> None:
    raw = EXAMPLE[:at] + noise + EXAMPLE
    covered = 0
    for one in shoebox.decode(raw):
        covered += one.size if isinstance(one, Gap) else len(shoebox.encode(one.metadata, one.payload))
    assert covered == len(raw)


def test_an_empty_file_holds_nothing() -> None:
    """shoebox raises NoValidFile after three of them."""
    assert list(shoebox.decode(b"")) == []


def test_a_payload_may_look_like_a_record() -> None:
    raw = shoebox.encode([], EXAMPLE) + EXAMPLE
    assert pairs(raw) == [([], EXAMPLE), ([("key", "value")], b"pay")]
