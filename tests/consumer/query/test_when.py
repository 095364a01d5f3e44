import time
from collections.abc import Iterator
from datetime import UTC, timedelta, timezone

import pytest

from codec.event import TIME_US_MAX, parse_time
from consumer.errors import Fatal
from consumer.query.when import LocalZone, parse_when, show_when

NOW = parse_time("2026-11-21T16:15:00Z")
EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-21T16:15:00Z", "2026-11-21T16:15:00Z"),
        ("2026-11-21T16:15:00.5+02:00", "2026-11-21T14:15:00.5Z"),
        ("2026-11-21 16:15", "2026-11-21T16:15:00Z"),
        ("2026-11-21", "2026-11-21T00:00:00Z"),
        ("15m", "2026-11-21T16:00:00Z"),
        ("1.5h", "2026-11-21T14:45:00Z"),
        ("2d", "2026-11-19T16:15:00Z"),
    ],
)
def test_times_as_users_write_them(text: str, instant: str) -> None:
    assert parse_when(text, NOW) == parse_time(instant)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("2026-11-21", "2026-11-21T23:59:59.999999Z"),
        ("2026-11-21T16:15", "2026-11-21T16:15:59.999999Z"),
        ("2026-11-21T16:15:07Z", "2026-11-21T16:15:07.999999Z"),
        ("2026-11-21T16:15:07.25Z", "2026-11-21T16:15:07.259999Z"),
        ("2026-11-21T16:15:07.123456+00:00", "2026-11-21T16:15:07.123456Z"),
    ],
)
def test_the_end_of_a_range_is_inclusive(text: str, last: str) -> None:
    assert parse_when(text, NOW, end=True) == parse_time(last)


def test_a_time_without_a_zone_is_in_the_given_zone() -> None:
    assert parse_when("2026-11-21T16:15:00", NOW, EAST) == parse_time("2026-11-21T14:15:00Z")


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "15", "2026-13-01", "2026-11-21T16", "20261121T1615", "2026-W47-6", "²m", "9" * 400 + "d"]
)
def test_a_text_that_is_no_time_is_an_error(text: str) -> None:
    with pytest.raises(Fatal, match="is no time"):
        parse_when(text, NOW)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalZone]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield LocalZone()
    monkeypatch.undo()
    time.tzset()


def test_the_local_zone_has_the_offset_of_each_day(berlin: LocalZone) -> None:
    """In November a time of July was an hour off."""
    assert parse_when("2026-07-15T12:00", NOW, berlin) == parse_time("2026-07-15T10:00:00Z")
    assert parse_when("2026-11-15T12:00", NOW, berlin) == parse_time("2026-11-15T11:00:00Z")
    assert show_when(parse_time("2026-07-15T10:00:00Z"), berlin) == "2026-07-15T12:00:00.000000+02:00"
    assert show_when(NOW, berlin) == "2026-11-21T17:15:00.000000+01:00"
    assert berlin.tzname(None) == "local"


def test_the_end_of_a_day_of_25_hours_is_in_its_last_hour(berlin: LocalZone) -> None:
    assert parse_when("2026-10-25", NOW, berlin, end=True) == parse_time("2026-10-25T22:59:59.999999Z")


def test_instants_are_shown_in_a_zone() -> None:
    assert show_when(NOW + 5, EAST) == "2026-11-21T18:15:00.000005+02:00"
    assert show_when(NOW + 5, UTC) == "2026-11-21T16:15:00.000005Z"
    assert show_when(parse_time("0001-01-01T00:00:00Z"), timezone(timedelta(hours=-2))) == "0001-01-01T00:00:00.000000Z"
    assert show_when(-1, EAST) == "1970-01-01T01:59:59.999999+02:00"


def test_the_last_day_of_the_calendar_has_an_end() -> None:
    assert parse_when("9999-12-31", 0, end=True) == TIME_US_MAX


@pytest.mark.parametrize("text", ["yesterday", "15 minutes", "0000-01-01", "1y"])
def test_an_error_says_which_times_are_accepted(text: str) -> None:
    accepted = "2026-11-21T16:15:00Z or 2026-11-21, or how long ago: 90s, 15m, 2h, 7d or 4w"
    with pytest.raises(
        Fatal, match=f"'{text}' is no time; write an ISO 8601 time or day of the years 1 to 9999, {accepted}"
    ):
        parse_when(text, 0)
