"""When the next event may be sent, with given times."""

import pytest

from consumer.errors import Fatal
from consumer.replay.pace import BURST_S, LATE_S, Pace, parse_rate

SECOND = 1_000_000


def sent_at(pace: Pace, times_us: list[int], step_s: float = 0.001) -> list[float]:
    """When each event is sent by a caller that waits as long as it must, and whose timers have steps."""
    now_s, sent = 100.0, []
    for time_us in times_us:
        while (wait_s := pace.wait_s(time_us, now_s)) > 0:
            now_s += max(wait_s, step_s)
        sent.append(now_s - 100.0)
    return sent


@pytest.mark.parametrize("speed", [0.5, 1, 10])
def test_events_are_sent_at_the_speed_at_which_they_happened(speed: float) -> None:
    times = [0, 0, 2 * SECOND, 3 * SECOND, 60 * SECOND]
    sent = sent_at(Pace(speed=speed), times)
    assert sent == pytest.approx([time / SECOND / speed for time in times], abs=0.001)
    assert all(at >= time / SECOND / speed - 1e-9 for at, time in zip(sent, times, strict=True))


def test_without_a_limit_no_event_waits() -> None:
    pace = Pace()
    assert pace.is_free
    assert [pace.wait_s(time, 0.0) for time in (0, 9 * SECOND)] == [0.0, 0.0]
    assert not Pace(speed=1).is_free
    assert not Pace(rate=1).is_free


@pytest.mark.parametrize("rate", [0.5, 7, 1000, 50_000])
@pytest.mark.parametrize("step_s", [0.001, 0.03])
def test_no_span_of_time_has_more_events_than_the_rate(rate: float, step_s: float) -> None:
    count = 300 if rate < 100 else 20_000
    sent = sent_at(Pace(rate=rate), [0] * count, step_s)
    for first in range(0, count, 37):
        for last in range(first, count, max(1, count // 20)):
            assert last - first + 1 <= rate * (sent[last] - sent[first] + BURST_S) + 1 + 1e-6
    assert (count - 1) / rate - BURST_S - 0.01 <= sent[-1] <= (count - 1) / rate + step_s + 0.01


def test_speed_and_rate_both_hold() -> None:
    sent = sent_at(Pace(speed=1, rate=2), [0, 1, 2, 10 * SECOND])
    assert sent == pytest.approx([0, 0.45, 0.95, 10], abs=0.01)


def test_after_an_outage_the_gaps_between_events_are_as_before() -> None:
    pace = Pace(speed=1)
    assert pace.wait_s(0, 0.0) == 0
    late = 60.0  # the event of second 1 could not be sent before
    assert pace.wait_s(1 * SECOND, late) == 0
    assert pace.wait_s(3 * SECOND, late) == pytest.approx(2.0)


def test_a_small_delay_is_made_up_for() -> None:
    pace = Pace(speed=1)
    assert pace.wait_s(0, 0.0) == 0
    assert pace.wait_s(SECOND, 1 + LATE_S / 2) == 0
    assert pace.wait_s(3 * SECOND, 2.0) == pytest.approx(1.0)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_a_limit_is_above_zero(value: float) -> None:
    with pytest.raises(Fatal, match="--speed"):
        Pace(speed=value)
    with pytest.raises(Fatal, match="--rate"):
        Pace(rate=value)


def test_a_rate_may_have_its_unit() -> None:
    assert (parse_rate("500"), parse_rate("500/s"), parse_rate(" 0.5/s ")) == (500, 500, 0.5)
    with pytest.raises(Fatal, match="'5/min'"):
        parse_rate("5/min")
