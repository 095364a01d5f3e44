"""Counts by group, and that any division into parts gives the same ones."""

import pickle
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.event import Event
from consumer.errors import Fatal
from consumer.query import counts as module
from consumer.query.counts import Counts, Row
from consumer.query.grouping import Grouping, parse_grouping
from tests.support.archive_logs import START_US, event

EVENTS = st.lists(
    st.builds(
        lambda serial, kind, tags, minutes, body: event(serial)._replace(
            type=kind, tags=tuple(tags), time_us=START_US + minutes * 60_000_000, body=body
        ),
        st.integers(0, 5),
        st.sampled_from(["", "a", "b", "bad\udcff"]),
        st.lists(st.sampled_from(["x", "y", ""]), max_size=3),
        st.integers(-300, 300),
        st.sampled_from([b"", b"no JSON", b'{"n":1}', b'{"n":"1"}', b'{"n":null}', b'{"n":[1]}']),
    ),
    max_size=30,
)
GROUPINGS = st.sampled_from(
    [
        parse_grouping(by, bucket)
        for by in (None, "type", "tag,type", "n", "type,tags,n,id")
        for bucket in (None, "1h", "1w")
    ]
)


def counted(grouping: Grouping, events: list[Event]) -> Counts:
    counts = Counts()
    for one in events:
        counts.add(grouping, one)
    return counts


@given(EVENTS, GROUPINGS, st.randoms(use_true_random=False), st.integers(1, 6))
def test_any_division_into_parts_gives_the_same_counts(events, grouping, random, parts) -> None:
    divided: list[list[Event]] = [[] for _ in range(parts)]
    for one in events:
        random.choice(divided).append(one)
    random.shuffle(divided)
    merged = Counts()
    for part in divided:
        merged.merge(pickle.loads(pickle.dumps(counted(grouping, part))))
    whole = counted(grouping, events)
    assert list(merged.rows()) == list(whole.rows())
    assert (merged.events, merged.bytes) == (whole.events, whole.bytes)
    assert merged.events == len(events)


@given(EVENTS, st.integers(1, 5), st.integers(1, 4))
def test_any_division_into_parts_finds_that_there_are_too_many_groups(events, limit, parts) -> None:
    grouping = parse_grouping("id,type", None)
    distinct = len({(one.id, one.type) for one in events})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "GROUPS_MAX", limit)

        def scan() -> None:
            merged = Counts()
            for at in range(parts):
                merged.merge(counted(grouping, events[at::parts]))

        if distinct > limit:
            with pytest.raises(Fatal, match="use a longer --bucket"):
                scan()
        else:
            scan()


@given(EVENTS)
def test_the_counts_are_those_of_a_counter(events) -> None:
    rows = counted(parse_grouping("type", None), events).rows()
    assert {row.values[0]: row.events for row in rows} == Counter(one.type for one in events)


def test_rows_are_in_order_of_time_and_then_the_largest_first() -> None:
    hour = 3_600_000_000
    base = START_US - START_US % hour
    times = [(base + hour, "b"), (base, "a"), (base + hour, "a"), (base + hour, "a"), (base + 2 * hour - 1, "c")]
    events = [event(0)._replace(time_us=time, type=kind, body=b"12") for time, kind in times]
    assert list(counted(parse_grouping("type", "1h"), events).rows()) == [
        Row(base, ("a",), 1, 2),
        Row(base + hour, ("a",), 2, 4),
        Row(base + hour, ("b",), 1, 2),
        Row(base + hour, ("c",), 1, 2),
    ]


def test_a_missing_field_is_another_group_than_an_empty_one() -> None:
    events = [event(0)._replace(body=body) for body in (b'{"n":""}', b"{}", b"{}")]
    assert [row.values for row in counted(parse_grouping("n", None), events).rows()] == [(None,), ("",)]


def test_the_totals_of_types_are_counts_too() -> None:
    counts = Counts()
    counts.add_types({"a": 3, "b": 1}, parse_grouping("type", None))
    assert [(row.values, row.events) for row in counts.rows()] == [(("a",), 3), (("b",), 1)]
    alone = Counts()
    alone.add_types({"a": 3, "b": 1}, parse_grouping(None, None))
    assert list(alone.rows()) == [Row(None, (), 4, 0)]
    assert counts.events == alone.events == 4


def test_long_values_count_against_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAMES_MAX", 1000)
    events = [event(0)._replace(type=f"{number}" + "x" * 300) for number in range(4)]
    with pytest.raises(Fatal, match="MiB of their values"):
        counted(parse_grouping("type", None), events)
