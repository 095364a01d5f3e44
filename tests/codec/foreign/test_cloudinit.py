"""The tests of decoding describe defects of cloud-init's own reader and writer."""

import json
import zlib
from base64 import b64encode, encodebytes
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import Corrupt
from codec.event import parse_time
from codec.foreign import cloudinit
from codec.foreign.cloudinit import Record
from codec.gap import Gap

REAL = (Path(__file__).parents[2] / "data" / "foreign" / "cloudinit-22.4.pool").read_bytes()
UUID = "8bba813a-0705-4a2c-9a19-f42e546d5fe8"
BASE = f"CLOUD_INIT|1763741700|start|name|{UUID}"
FIELDS = {"name": "name", "type": "start", "ts": "2025-11-21T16:15:00.500000Z"}


def pack(key: str, value: str | bytes) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return key.encode().ljust(512, b"\0") + raw.ljust(2048, b"\0")


def broken_down(key: str, text: str, limit: int, with_index: bool) -> bytes:
    """Slices as cloud-init writes them: the escaped text cut anywhere, into pieces of `room` bytes."""
    escaped, pieces, number = json.dumps(text)[1:-1], b"", 0
    while escaped:
        head = json.dumps(FIELDS | {"msg_i": number, "msg": ""}, separators=(",", ":"))
        room = limit - len(head) - 8
        value = head.replace('"msg":""', f'"msg":"{escaped[:room]}"')
        pieces += pack(f"{key}|{number}" if with_index else key, value)
        escaped, number = escaped[room:], number + 1
    return pieces


def bodies(raw: bytes) -> list[bytes]:
    return [one.body for one in cloudinit.decode(raw) if isinstance(one, Record)]


def test_files_of_cloud_init_itself_are_read() -> None:
    found = list(cloudinit.decode(REAL))
    assert [one.body for one in found] == [
        b"one line", ("\\ \" \n é😀 " * 60).encode(), b"done", b"log line\n" * 200 + bytes(range(256)) * 4,
    ]  # fmt: skip
    assert [one.fields["type"] for one in found] == ["start", "start", "finish", "compressed"]
    assert found[2].fields == {
        "name": "modules",
        "type": "finish",
        "ts": "2025-11-21T16:15:02.250000Z",
        "result": "WARN",
    }
    assert [one.time_us for one in found] == [
        parse_time(f"2025-11-21T16:15:{second}Z") for second in ("00.5", "01", "02.25", "03")
    ]
    assert found[0].id == UUID


def test_an_event_in_one_record_is_written_to_the_byte() -> None:
    found = next(iter(cloudinit.decode(REAL)))
    assert cloudinit.encode(found.key, found.fields, found.body.decode()) == [REAL[:2560]]


@pytest.mark.parametrize("limit", [1024, 2048])
@pytest.mark.parametrize(
    ("key", "with_index"),
    [
        ("CLOUD_INIT|1763741700|start|name", False),
        (BASE, False),
        (BASE, True),
        (f"CLOUD_INIT|1763741700|start|name|{UUID}|{UUID}", True),
    ],
)
def test_slices_of_every_key_shape_are_joined(key: str, with_index: bool, limit: int) -> None:
    """cloud-init cuts within escapes and surrogate pairs: 26 of 48 slices are not JSON, and others give a wrong text."""
    for shift in range(13):
        text = "x" * shift + '\\ " \n é😀 ' * 400
        (found,) = cloudinit.decode(broken_down(key, text, limit, with_index))
        assert (found.body.decode(), found.key, found.fields) == (text, key, FIELDS)


def test_a_key_of_another_kind_has_a_plain_value() -> None:
    """`PROVISIONING_REPORT`, and the entries of other programs in the pool."""
    (found,) = cloudinit.decode(pack("PROVISIONING_REPORT", "result=success|agent=x"))
    assert (found.id, found.body, found.fields, found.time_us) == (
        "PROVISIONING_REPORT",
        b"result=success|agent=x",
        {},
        None,
    )


@pytest.mark.parametrize("encode", [b64encode, encodebytes])
def test_compressed_events_are_decompressed(encode: object) -> None:
    data = encode(zlib.compress(b"\xff" * 90)).decode()
    (found,) = cloudinit.decode(
        b"".join(
            cloudinit.encode(BASE, FIELDS | {"type": "compressed"}, json.dumps({"encoding": "gz+b64", "data": data}))
        )
    )
    assert found.body == b"\xff" * 90


def test_an_event_of_type_compressed_with_other_content_is_kept_unchanged() -> None:
    (found,) = cloudinit.decode(b"".join(cloudinit.encode(BASE, FIELDS | {"type": "compressed"}, "no JSON")))
    assert found.body == b"no JSON"


@pytest.mark.parametrize("cut", [1, 511, 513, 2559])
def test_records_appended_after_a_torn_one_are_read(cut: int) -> None:
    """cloud-init's reader reads all records after it at a wrong alignment."""
    first, second, third = (b"".join(cloudinit.encode(f"{BASE[:-1]}{n}", FIELDS, f"event {n}")) for n in range(3))
    found = list(cloudinit.decode(first + second[:cut] + third + first))
    assert [one.body for one in found if isinstance(one, Record)] in (
        [b"event 0", b"event 2", b"event 0"],
        [b"event 0", b"event 1", b"event 2", b"event 0"],
    )
    assert sum(isinstance(one, Gap) for one in found) == 1
    (torn,) = [one for one in cloudinit.decode(first + second[:cut]) if isinstance(one, Gap)]
    assert (torn.offset, torn.size, torn.kind) == (2560, cut, "torn")


def test_a_record_cut_within_a_character_makes_no_other_record_unreadable() -> None:
    """cloud-init's reader raises an error there and reads no further record."""
    long = pack("k" * 511 + "é", "x")[:512] + pack("a", "plain")[512:]
    found = list(cloudinit.decode(long + b"".join(cloudinit.encode(BASE, FIELDS, "after"))))
    assert bodies(long + b"".join(cloudinit.encode(BASE, FIELDS, "after")))[-1] == b"after"
    assert len(found) == 2


def test_a_missing_slice_is_a_gap_and_not_a_wrong_text() -> None:
    raw = broken_down(BASE, "ab" * 2000, 1024, True)
    without_first, without_second = raw[2560:], raw[:2560] + raw[5120:]
    assert [type(one) for one in cloudinit.decode(without_first)] == [Gap]
    assert "may be missing" in list(cloudinit.decode(raw[:5120]))[1].reason
    found = list(cloudinit.decode(without_second))
    assert [type(one) for one in found] == [Record, Gap]
    assert "slice 2 found" in found[1].reason


@given(st.text(max_size=3000), st.booleans())
def test_encoded_events_are_decoded_and_each_slice_is_json(text: str, finished: bool) -> None:
    fields = FIELDS | ({"result": "SUCCESS"} if finished else {})
    raw = cloudinit.encode(BASE, fields, text)
    for record in raw:
        value = record[512:].rstrip(b"\0")
        assert isinstance(json.loads(value)["msg"], str)
        assert len(value.decode("ascii")) <= 1022
    assert len({record[:512] for record in raw}) == len(raw)
    (found,) = cloudinit.decode(b"".join(raw))
    assert (found.body.decode("utf-8", "surrogatepass"), found.fields, found.key) == (text, fields, BASE)


def test_fields_and_keys_that_are_too_long_are_refused() -> None:
    """cloud-init never returns for a long name, and uses more and more memory."""
    with pytest.raises(Corrupt, match="allowed in a value"):
        cloudinit.encode(BASE, FIELDS | {"name": "é" * 300}, "x")
    with pytest.raises(Corrupt, match="key of"):
        cloudinit.encode("k" * 512, FIELDS, "x")
    with pytest.raises(Corrupt, match="key of"):
        cloudinit.encode("a\0b", FIELDS, "x")


@pytest.mark.parametrize("value", [b'{"a":"x\0y"}', b"\0leading"])
def test_a_nul_within_a_value_is_damage_and_not_its_end(value: bytes) -> None:
    """The host reads up to the NUL, Python reads the whole value, and cloud-init also strips NULs at the beginning."""
    good = b"".join(cloudinit.encode(BASE, FIELDS, "good"))
    found = list(cloudinit.decode(good + pack("CLOUD_INIT|x", value) + good))
    assert [type(one) for one in found] == [Record, Gap, Record]
