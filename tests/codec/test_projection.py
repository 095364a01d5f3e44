import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import kvp, projection
from codec.errors import CodecError, Corrupt, Truncated
from codec.event import Event
from tests.codec.strategies import events
from tests.codec.test_kvp import MEMBERS, record

PLAIN = Event("id-1", "a.type", 1_763_741_700_123_456, 1_763_741_700_200_000, "exchange", "key", b"\0\0", b'{"a": 1}')
NEEDED = st.sets(st.sampled_from(Event._fields))


def raw_of(found: list[Event]) -> bytes:
    return b"".join(part for number, one in enumerate(found) for part in kvp.encode(one, f"host-00000001.{number}"))


def reduced(event: Event, needed: set[str]) -> Event:
    left = {"id": "", "body": b""}
    return event._replace(**{name: value for name, value in left.items() if name not in needed})


@given(found=st.lists(events, max_size=4), needed=NEEDED)
def test_the_events_are_those_of_kvp_without_the_fields_that_are_not_needed(
    found: list[Event], needed: set[str]
) -> None:
    assert list(projection.decode((raw_of(found),), needed)) == [reduced(one, needed) for one in found]


@given(
    body=st.integers(0, 9000),
    tags=st.lists(st.text(max_size=400), max_size=9),
    name=st.text(max_size=2000),
    kind=st.sampled_from(["t", "t" * 2000]),
    needed=NEEDED,
)
def test_long_bodies_and_long_members_are_joined_or_skipped(
    body: int, tags: list[str], name: str, kind: str, needed: set[str]
) -> None:
    long = PLAIN._replace(body=b"x" * body, tags=tuple(tags), id=name, type=kind)
    assert list(projection.decode((raw_of([long, PLAIN]),), needed)) == [reduced(long, needed), reduced(PLAIN, needed)]


def test_an_event_may_be_split_between_pieces() -> None:
    found = [PLAIN._replace(body=b"x" * 5000), PLAIN]
    raw = raw_of(found)
    pieces = [raw[at : at + kvp.RECORD_BYTES] for at in range(0, len(raw), kvp.RECORD_BYTES)]
    assert list(projection.decode(iter(pieces))) == found
    assert list(projection.decode(iter(pieces), {"id"})) == [one._replace(body=b"") for one in found]


@given(values=st.lists(MEMBERS, max_size=3), needed=NEEDED)
def test_any_json_in_a_record_is_the_same_event_or_the_same_kind_of_error(
    values: list[dict[str, object]], needed: set[str]
) -> None:
    raw = b"".join(record(json.dumps(value).encode()[:2000]) for value in values)
    try:
        expected = [reduced(one, needed) for one in kvp.decode(raw)]
    except CodecError:
        return  # a field that is not needed is not checked
    assert list(projection.decode((raw,), needed)) == expected


@given(raw=st.binary(min_size=kvp.RECORD_BYTES, max_size=kvp.RECORD_BYTES), needed=NEEDED)
def test_any_bytes_are_events_or_a_codec_error(raw: bytes, needed: set[str]) -> None:
    try:
        list(projection.decode((raw,), needed))
    except CodecError:
        pass


def test_missing_and_foreign_slices_are_errors_without_the_body_too() -> None:
    raw = raw_of([PLAIN._replace(body=b"x" * 5000)])
    with pytest.raises(Truncated, match="2 of 3 slices"):
        list(projection.decode((raw[: 2 * kvp.RECORD_BYTES],), ()))
    with pytest.raises(Corrupt, match="slice 1 of None"):
        list(projection.decode((raw[kvp.RECORD_BYTES :],), ()))
    with pytest.raises(Corrupt, match="slice 2 of"):
        list(projection.decode((raw[: 2 * kvp.RECORD_BYTES] + raw_of([PLAIN]),), ()))


def test_times_of_other_forms_are_read_as_kvp_reads_them() -> None:
    times = ["2026-11-21T16:15:00Z", "2026-11-21T16:15:00.5+01:00", "2026-11-21T16:15:00.123456Z"]
    values = [
        {"type": "t", "ts": at, "exchange": "", "routing_key": "", "header": "", "name": "n", "msg": ""} for at in times
    ]
    raw = b"".join(record(json.dumps(value).encode()) for value in values)
    assert [one.time_us for one in projection.decode((raw,))] == [one.time_us for one in kvp.decode(raw)]
