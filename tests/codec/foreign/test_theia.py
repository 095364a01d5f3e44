"""The tests of decoding describe defects of theia's own readers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.foreign import theia
from codec.foreign.theia import Record
from codec.gap import Gap

FOREIGN = Path(__file__).parents[2] / "data" / "foreign"
STORE = (FOREIGN / "theia-1763741700-1763741760").read_bytes()
STREAM = (FOREIGN / "theia.stream").read_bytes()
ONE = Record(0, "i", 1_763_741_700_250_000, "s", ("a", "b"), b"line\nevent: 5 2 3\nid:forged")

lines = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), max_size=10)
records = st.builds(
    Record, st.just(0), lines, st.integers(0, 1 << 50), lines, st.lists(lines.filter(lambda tag: tag and "," not in tag), max_size=3).map(tuple),
    st.binary(max_size=50),
)  # fmt: skip


def found(raw: bytes) -> list[Record | Gap]:
    return [one._replace(offset=0) if isinstance(one, Record) else one for one in theia.decode(raw)]


def test_files_of_theia_itself_are_read_and_written_to_the_byte() -> None:
    """theia's two readers expect one and two separators, and each fails on the other's file."""
    assert [(one.id, one.source, one.tags, one.content) for one in theia.decode(STORE)] == [
        ("t-0", "/var/log/é", ("a", "b"), b"line\nevent: 5 2 3\nid:forged"), ("t-1", "s", (), b""), ("t-2", "s", ("x",), "ö".encode()),
    ]  # fmt: skip
    assert b"".join(map(theia.encode, theia.decode(STORE))) == STORE
    assert b"".join(theia.encode(one, 1) for one in theia.decode(STREAM)) == STREAM


@given(st.lists(records, max_size=5), st.sampled_from([1, 2]))
def test_events_round_trip_with_one_and_with_two_separators(wanted: list[Record], separators: int) -> None:
    raw = b"".join(theia.encode(one, separators) for one in wanted)
    ambiguous = separators == 1 and any(one.content[:1] == b"\n" for one in wanted)
    if not ambiguous:
        assert found(raw) == wanted


def test_content_may_hold_a_forged_preamble() -> None:
    inner = theia.encode(ONE)
    assert found(theia.encode(ONE._replace(content=inner)) + theia.encode(ONE)) == [ONE._replace(content=inner), ONE]


def test_an_event_without_tags_has_none() -> None:
    """theia reads them as one empty tag."""
    assert found(theia.encode(ONE._replace(tags=())))[0].tags == ()


def test_the_time_0_and_single_microseconds_are_kept() -> None:
    """theia replaces 0 by the present time."""
    for time_us in (0, 1, 1_763_741_700_123_457):
        assert found(theia.encode(ONE._replace(time_us=time_us)))[0].time_us == time_us


@pytest.mark.parametrize("cut", range(1, len(theia.encode(ONE, 1)) - 1, 7))
def test_a_torn_end_is_reported_and_the_events_before_it_are_read(cut: int) -> None:
    """theia's reader raises an error from its iterator."""
    whole = theia.encode(ONE)
    records = found(whole + whole[:cut])
    assert records[0] == ONE
    assert isinstance(records[1], Gap)
    assert (records[1].offset, records[1].size) == (len(whole), cut)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"event: ", b"evnt:: "), (b" 27\n", b" 28\n"), (b"id:i", b"iq:i"), (b"timestamp: 1", b"timestamp: x"), (b"source:s\n", b"source:s\xff")],
)  # fmt: skip
def test_damage_makes_only_one_event_unreadable(old: bytes, new: bytes) -> None:
    whole = theia.encode(ONE)
    assert old in whole
    records = found(whole + whole.replace(old, new, 1) + whole)
    assert [type(one) for one in records][::2] == [Record, Record]
    assert records[0] == records[-1] == ONE
    assert sum(isinstance(one, Gap) for one in records) == 1


def test_members_that_the_format_cannot_hold_are_named() -> None:
    """theia reads a line feed as a new header, a comma as a new tag, and strips spaces at the end."""
    assert theia.unsupported(ONE) == []
    assert theia.unsupported(ONE._replace(source="a\nid:x")) == ["source"]
    assert theia.unsupported(ONE._replace(id="x ")) == ["id"]
    assert theia.unsupported(ONE._replace(tags=("a,b",))) == ["tags"]
    assert theia.unsupported(ONE._replace(content=b"\xff")) == ["content"]
