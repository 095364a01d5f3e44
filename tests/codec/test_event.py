import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import Corrupt, TooLarge
from codec.event import TIME_US_MAX, TIME_US_MIN, format_time, parse_time


@given(st.integers(TIME_US_MIN, TIME_US_MAX))
def test_times_round_trip(time_us: int) -> None:
    assert parse_time(format_time(time_us)) == time_us


@pytest.mark.parametrize(
    ("time_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (TIME_US_MIN, "0001-01-01T00:00:00.000000Z"),
        (TIME_US_MAX, "9999-12-31T23:59:59.999999Z"),
        (1_763_741_700_123_456, "2025-11-21T16:15:00.123456Z"),
    ],
)
def test_a_time_has_one_width(time_us: int, text: str) -> None:
    assert format_time(time_us) == text


@pytest.mark.parametrize("time_us", [TIME_US_MIN - 1, TIME_US_MAX + 1, 1 << 80])
def test_a_time_outside_the_calendar_is_refused(time_us: int) -> None:
    with pytest.raises(TooLarge, match="a time in the years 1 to 9999 expected"):
        format_time(time_us)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21T16:15:00", "2026-11-21", 5])
def test_a_text_that_is_no_time_is_corrupt(text: str) -> None:
    with pytest.raises(Corrupt):
        parse_time(text)


def test_other_zones_are_converted() -> None:
    assert parse_time("2026-11-21T17:15:00+01:00") == parse_time("2026-11-21T16:15:00Z")
