import json
import struct
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import kvp
from codec.errors import CodecError, Corrupt, TooLarge, Truncated
from codec.event import TIME_US_MAX, Event
from tests.codec.strategies import events, texts

PLAIN = Event("id-1", "a.type", 1_763_741_700_123_456, 1_763_741_700_200_000, "exchange", "key", b"\0\0", b'{"a": 1}')
PROFILES = pytest.mark.parametrize("profile", [kvp.WIRE, kvp.HOST], ids=lambda profile: profile.name)


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def parts(record: bytes) -> tuple[str, str]:
    key, value = struct.unpack("512s2048s", record)
    return key.rstrip(b"\0").decode(), value.rstrip(b"\0").decode()


@PROFILES
@given(event=events)
def test_every_event_round_trips(profile: kvp.Profile, event: Event) -> None:
    assert list(kvp.decode(b"".join(kvp.encode(event, "host-00000001.7", profile)))) == [event]


@PROFILES
@given(event=events)
def test_every_record_keeps_its_limits(profile: kvp.Profile, event: Event) -> None:
    """Keys are unique and whole; values are JSON with `msg` last; both are within the profile's limits and without NUL."""
    records = kvp.encode(event, "host-00000001.7", profile)
    keys = set()
    for record in records:
        assert len(record) == kvp.RECORD_BYTES
        key, value = parts(record)
        keys.add(key)
        assert key.count("|") == 4
        assert "\0" not in key + value
        assert (units(key), units(value)) <= (profile.key_units, profile.value_units)
        assert len(key.encode()) <= 511
        assert len(value.encode()) <= 2047
        assert list(json.loads(value))[-1] == "msg"
    assert len(keys) == len(records)


@PROFILES
@given(body=st.text('"\\/\n\t\0\x1féß€😀𝄞ax', min_size=900, max_size=5000))
def test_slices_join_decoded_and_undecoded(profile: kvp.Profile, body: str) -> None:
    """No slice ends within a character, an escape or a surrogate pair."""
    records = kvp.encode(PLAIN._replace(body=body.encode()), "i", profile)
    values = [parts(record)[1] for record in records]
    fragments = [value[value.index('"msg":"') + 7 : -2] for value in values]
    text = b64encode(body.encode()).decode() if "encoding" in json.loads(values[0]) else body
    assert "".join(json.loads(value)["msg"] for value in values) == text
    assert json.loads('"' + "".join(fragments) + '"') == text


@given(raw=st.binary() | st.binary(min_size=kvp.RECORD_BYTES, max_size=kvp.RECORD_BYTES))
def test_any_bytes_are_events_or_a_codec_error(raw: bytes) -> None:
    try:
        list(kvp.decode(raw))
    except CodecError:
        pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.just(valid)
        for name, valid in [
            ("name", "x"), ("type", "x"), ("ts", "2026-11-21T16:15:00Z"), ("arrived", "2026-11-21T16:15:00Z"), ("exchange", ""),
            ("routing_key", ""), ("header", ""), ("msg", ""), ("msg_i", 0), ("msg_n", 1), ("encoding", "base64"), ("tags", []), ("duplicate", "a1-00000007:41"),
        ]
    },
)  # fmt: skip


@given(st.lists(MEMBERS, max_size=3))
def test_any_json_in_a_record_is_an_event_or_a_codec_error(values: list[dict[str, object]]) -> None:
    raw = b"".join(
        b"DEEDBOX|a-1.0|t|x|0".ljust(512, b"\0") + json.dumps(value).encode()[:2047].ljust(2048, b"\0")
        for value in values
    )
    try:
        list(kvp.decode(raw))
    except CodecError:
        pass


@given(event=events, at=st.integers(0, 1 << 20), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_events_or_a_codec_error(event: Event, at: int, bit: int) -> None:
    raw = bytearray(b"".join(kvp.encode(event, "i")))
    raw[at % len(raw)] ^= 1 << bit
    try:
        list(kvp.decode(bytes(raw)))
    except CodecError:
        pass


def test_a_plain_event_is_one_readable_record() -> None:
    key, value = parts(kvp.encode(PLAIN, "host-00000001.7")[0])
    assert key == "DEEDBOX|host-00000001.7|a.type|id-1|0"
    assert json.loads(value) == {
        "type": "a.type", "ts": "2025-11-21T16:15:00.123456Z", "arrived": "2025-11-21T16:15:00.200000Z",
        "exchange": "exchange", "routing_key": "key", "header": "\0\0", "msg": '{"a": 1}',
    }  # fmt: skip


@pytest.mark.parametrize("id", ["", "id-1", "é", "a~b", "x" * 200])
def test_an_id_that_the_key_holds_is_not_repeated(id: str) -> None:
    (record,) = kvp.encode(PLAIN._replace(id=id), "i")
    assert "name" not in json.loads(parts(record)[1])
    assert next(kvp.decode(record)).id == id


@pytest.mark.parametrize("id", ["a|b", "100%", "a\nb", "\udcff", "x" * 201, "é" * 101, "a~0123456789abcdef"])
def test_an_id_that_the_key_encodes_or_shortens_is_in_the_value(id: str) -> None:
    (record,) = kvp.encode(PLAIN._replace(id=id), "i")
    assert json.loads(parts(record)[1])["name"] == id
    assert next(kvp.decode(record)).id == id
    assert b"".join(kvp.encode_batch([PLAIN._replace(id=id)], "i", 0)) == kvp.encode(PLAIN._replace(id=id), "i.0")[0]


def test_a_time_of_arrival_equal_to_the_events_time_is_not_repeated() -> None:
    event = PLAIN._replace(arrived_us=PLAIN.time_us)
    (record,) = kvp.encode(event, "i")
    assert "arrived" not in json.loads(parts(record)[1])
    assert list(kvp.decode(record)) == [event]


def test_the_profile_for_hosts_repeats_both_in_the_value() -> None:
    """Other readers of a pool read only the value."""
    (record,) = kvp.encode(PLAIN._replace(arrived_us=PLAIN.time_us), "i", kvp.HOST)
    assert json.loads(parts(record)[1]).keys() >= {"name", "arrived"}


@pytest.mark.parametrize(
    "key", [b"k", b"DEEDBOX|i|t|0", b"DEEDBOX|i|t|a|b|0", b"DEEDBOX|i|t|a%7Cb|0", b"DEEDBOX|i|t|a~0123456789abcdef|0"]
)
def test_a_record_without_an_id_in_value_and_key_is_damaged(key: bytes) -> None:
    record = kvp.encode(PLAIN, "i")[0]
    with pytest.raises(Corrupt, match="no id found in the value"):
        list(kvp.decode(key.ljust(512, b"\0") + record[512:]))


def test_a_duplicate_names_the_position_of_the_first() -> None:
    event = PLAIN._replace(redelivered=True, duplicate="a1-00000007:41")
    (record,) = kvp.encode(event, "host-00000001.7")
    assert json.loads(parts(record)[1])["duplicate"] == "a1-00000007:41"
    assert list(kvp.decode(record)) == [event]


def test_a_duplicate_that_is_no_position_is_refused() -> None:
    with pytest.raises(Corrupt, match="a1-00000007:41 expected"):
        kvp.encode(PLAIN._replace(duplicate="x" * 5000), "i")
    record = kvp.encode(PLAIN._replace(duplicate="a1-00000007:41"), "i")[0].replace(
        b"a1-00000007:41", b"a1-00000007/41"
    )
    with pytest.raises(Corrupt, match="a1-00000007:41 expected"):
        list(kvp.decode(record))


def test_separators_in_names_do_not_make_keys_ambiguous() -> None:
    """cloud-init writes names unescaped: a `|` in a name shifts all fields after it."""
    key, _ = parts(kvp.encode(PLAIN._replace(id="a|b%c\n\0", type="t|"), "i")[0])
    assert key == "DEEDBOX|i|t%7C|a%7Cb%25c%0A%00|0"


def test_a_name_too_long_for_the_envelope_gets_slices_of_its_own() -> None:
    """cloud-init never returns if the name leaves no room for the message."""
    event = PLAIN._replace(
        id="é" * 4000, type="t" * 4000, exchange="e" * 255, header=bytes(range(256)) * 20, tags=("x" * 3000,)
    )
    for profile in (kvp.WIRE, kvp.HOST):
        records = kvp.encode(event, "i", profile)
        assert list(kvp.decode(b"".join(records))) == [event]


def test_the_host_takes_no_more_than_a_thousand_keys() -> None:
    with pytest.raises(TooLarge, match="at most 1024 allowed in profile host"):
        kvp.encode(PLAIN._replace(body=b"x" * 1_100_000), "i", kvp.HOST)


def test_a_time_outside_the_calendar_is_refused() -> None:
    with pytest.raises(TooLarge):
        kvp.encode(PLAIN._replace(time_us=TIME_US_MAX + 1), "i")


def test_control_characters_do_not_multiply_the_size() -> None:
    """An escape takes six bytes for one, so the body becomes base64."""
    records = kvp.encode(PLAIN._replace(body=b"\x01" * 100_000), "i")
    assert len(records) < 100
    assert next(kvp.decode(b"".join(records))).body == b"\x01" * 100_000


def test_errors_of_torn_records_and_missing_slices_hold_the_offset() -> None:
    records = kvp.encode(PLAIN._replace(body=b"x" * 9000), "i")
    with pytest.raises(Truncated, match=r"at byte 0: 4 of 5 slices found"):
        list(kvp.decode(b"".join(records[:-1])))
    with pytest.raises(Truncated, match="record of 2559 bytes found, 2560 expected"):
        list(kvp.decode(records[0][:-1]))
    with pytest.raises(Corrupt, match=r"slice 1 of .* expected"):
        list(kvp.decode(b"".join([records[0], *records[2:]])))
    with pytest.raises(Corrupt, match="slice 1 of"):
        list(kvp.decode(records[1]))


def test_a_record_with_a_nul_within_its_value_or_an_empty_key_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="empty key"):
        list(kvp.records(bytes(kvp.RECORD_BYTES)))
    with pytest.raises(Corrupt, match="NUL within"):
        list(kvp.records(b"a\0b".ljust(512, b"\0") + bytes(2048)))


def record(value: bytes) -> bytes:
    return b"k|0".ljust(512, b"\0") + value.ljust(2048, b"\0")


@pytest.mark.parametrize("value", [b"[" * 2000, b"[" * 600 + b'"\\ud800"' + b"]" * 600], ids=["endless", "whole"])
def test_json_nested_too_deep_is_corrupt_in_every_version_of_python(value: bytes) -> None:
    """Python 3.11 stops at its recursion limit, Python 3.13 does not."""
    with pytest.raises(Corrupt, match="500 nested levels"):
        list(kvp.decode(record(value)))


def test_brackets_in_a_text_are_not_nested() -> None:
    event = PLAIN._replace(body=b"[" * 700, id='"\\\udcff')
    assert list(kvp.decode(b"".join(kvp.encode(event, "a-1:1")))) == [event]


@given(st.lists(events, max_size=5), st.integers(0, 10**6))
def test_a_batch_is_the_same_bytes_as_its_events(found: list[Event], first: int) -> None:
    found = [
        *found,
        PLAIN,
        PLAIN._replace(id="\x7f|%é"),
        PLAIN._replace(redelivered=True),
        PLAIN._replace(body=b"x" * 3000),
    ]
    alone = [kvp.encode(event, f"host-00000001.{ordinal}") for ordinal, event in enumerate(found, first)]
    assert b"".join(kvp.encode_batch(found, "host-00000001", first)) == b"".join(b"".join(records) for records in alone)
