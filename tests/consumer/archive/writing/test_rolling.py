import pytest

from consumer.archive.writing.rolling import INDEX_BYTES_MAX, Fill, RollPolicy, next_look_s, roll_reason

EMPTY = Fill(0, 0, 0, 0, opened_monotonic=100.0, opened_wall=7195.0)


@pytest.mark.parametrize(
    ("policy", "fill", "monotonic", "wall", "reason"),
    [
        (RollPolicy(), Fill(1 << 60, 1 << 60, 5, 0, 0.0, 0.0), 1e9, 1e9, None),
        (RollPolicy(bytes_max=10), Fill(9, 0, 0, 0, 0.0, 0.0), 0.0, 0.0, None),
        (RollPolicy(bytes_max=10), Fill(10, 0, 0, 0, 0.0, 0.0), 0.0, 0.0, "size"),
        (RollPolicy(events_max=5), Fill(0, 5, 0, 0, 0.0, 0.0), 0.0, 0.0, "count"),
        (RollPolicy(), Fill(0, 0, 5, INDEX_BYTES_MAX, 0.0, 0.0), 0.0, 0.0, "index"),
        (RollPolicy(age_s_max=60), EMPTY, 159.9, 7254.9, None),
        (RollPolicy(age_s_max=60), EMPTY, 160.0, 7255.0, "age"),
        (RollPolicy(align_s=3600), EMPTY, 104.0, 7199.0, None),
        (RollPolicy(align_s=3600), EMPTY, 105.0, 7200.0, "clock"),
    ],
)
def test_an_archive_is_full_for_one_of_these_reasons(
    policy: RollPolicy, fill: Fill, monotonic: float, wall: float, reason: str | None
) -> None:
    assert roll_reason(policy, fill, monotonic, wall) == reason


def test_the_age_is_measured_on_the_monotonic_clock() -> None:
    """A wall clock that jumps a day rolls nothing by age."""
    assert roll_reason(RollPolicy(age_s_max=60), EMPTY, 101.0, 7195.0 + 86400) is None


@pytest.mark.parametrize(
    ("policy", "wait_s"),
    [
        (RollPolicy(bytes_max=1), None),
        (RollPolicy(age_s_max=60), 55.0),
        (RollPolicy(align_s=3600), 0.0),
        (RollPolicy(age_s_max=60, align_s=7200), 0.0),
    ],
)
def test_time_alone_fills_an_archive_after_so_long(policy: RollPolicy, wait_s: float | None) -> None:
    assert next_look_s(policy, EMPTY, 105.0, 7200.0) == wait_s
