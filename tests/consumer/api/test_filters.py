from datetime import UTC, datetime, timedelta, timezone

import pytest

from consumer.api.filters import Filters, make_query
from tests.support.archive_logs import START_US, event
from tests.support.dead_letters import dead_once


def test_times_are_texts_or_datetimes_with_a_zone() -> None:
    instant = datetime(2025, 11, 21, 17, 15, 0, 7, tzinfo=timezone(timedelta(hours=1)))
    assert make_query({"since": instant}).wanted.since_us == START_US + 7
    assert make_query({"arrived_until": instant}).wanted.arrived_until_us == START_US + 7
    assert make_query({"since": "2025-11-21T16:15"}).wanted.since_us == START_US
    assert make_query({"until": "2025-11-21T16:15"}).wanted.until_us == START_US + 59_999_999
    assert make_query({"arrived_since": "2025-11-21T16:15"}).wanted.arrived_since_us == START_US


def test_a_text_may_say_how_long_ago() -> None:
    found = make_query({"since": "2h"}).wanted.since_us
    now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
    assert found is not None
    assert now_us - found == pytest.approx(2 * 3600 * 1_000_000, abs=60_000_000)


@pytest.mark.parametrize("wanted", ["type.0", ["type.0"], ("type.[!12]", "other")])
def test_one_text_is_one_value_of_a_list(wanted: str | list[str]) -> None:
    query = make_query({"types": wanted})
    assert [query.accepts(event(serial)) for serial in (0, 1)] == [True, False]


def test_all_filters_must_pass() -> None:
    one = event(1)._replace(tags=("a", "b"))
    passing = {
        "ids": "id-1", "tags": ["a", "b"], "exchange": "exch*", "routing_key": "#", "match": "ser.al",
        "where": "serial=1", "headers": "missing!=1",
    }  # fmt: skip
    assert make_query(passing).accepts(one)
    for name, other in {"ids": "id-2", "tags": "c", "exchange": "x", "routing_key": "a.*", "match": "no", "where": "serial>1",
                        "headers": "missing=1"}.items():  # fmt: skip
        assert not make_query(passing | {name: other}).accepts(one), name


def test_the_filters_on_the_first_death() -> None:
    dead = event(1)._replace(header=dead_once("orders", "expired"))
    assert make_query({"dead_lettered_from": "ord*", "death_reason": "expired"}).accepts(dead)
    assert not make_query({"dead_lettered_from": "bills"}).accepts(dead)
    assert not make_query({"death_reason": "rejected"}).accepts(dead)
    assert not make_query({"dead_lettered_from": "*"}).accepts(event(1))


def test_marked_duplicates_are_hidden_unless_they_are_wanted() -> None:
    assert make_query({}).duplicates == "hide"
    assert make_query({"duplicates": "only"}).duplicates == "only"


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"type": "compute.*"}, "did you mean 'types'"),
        ({"zzz": 1}, "the filters are since, until"),
    ],
)
def test_an_unknown_filter_is_a_type_error(filters: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make_query(filters)


@pytest.mark.parametrize("name", sorted(Filters.__annotations__))
def test_none_is_no_filter(name: str) -> None:
    assert make_query({name: None}) == make_query({})  # type: ignore[misc]  # the name is not known before


@pytest.mark.parametrize("name", sorted(Filters.__annotations__))
@pytest.mark.parametrize("value", [5, b"id-1", [5], [None]])
def test_a_value_of_a_wrong_type_is_a_type_error(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"{name}: expected .*, found .*(int|bytes|list|NoneType)"):
        make_query({name: value})  # type: ignore[misc]  # that is the fault


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"since": datetime(2025, 11, 21)}, "no time zone"),  # noqa: DTZ001 -- that is the fault
        ({"since": "yesterday"}, "yesterday"),
        ({"since": "2025-11-22", "until": "2025-11-21"}, "after until"),
        ({"match": "("}, "regular expression"),
        ({"where": "payload"}, "condition"),
        ({"duplicates": "none"}, "expected 'hide', 'show' or 'only'"),
        ({"death_reason": "boredom"}, "expected 'rejected', 'expired', 'maxlen' or 'delivery_limit'"),
    ],
)
def test_a_value_that_a_filter_cannot_have_is_a_value_error(filters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_query(filters)
