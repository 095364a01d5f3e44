"""The policy alone: values in, decisions out."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from consumer.archive.naming import ArchiveId
from consumer.ship.retention.limits import Limits
from consumer.ship.retention.policy import Candidate, Decision, Stay, decide

NOW_US = 1_000_000_000


def candidates(*sizes: int) -> list[Candidate]:
    """Archives of these sizes; number 1 is the oldest, and one arrives each second until now."""
    return [
        Candidate(ArchiveId("one", number), str(number), size, NOW_US - (len(sizes) - number) * 1_000_000)
        for number, size in enumerate(sizes, 1)
    ]


def gone(decisions: Sequence[Decision]) -> list[int]:
    return [one.candidate.archive.sequence for one in decisions if one.goes]


def by_limits(found: list[Candidate], limits: Limits, free: int = 0, stays: Sequence[int] = ()) -> list[Decision]:
    return decide(found, limits, NOW_US, free, lambda one: [Stay("held")] if one.archive.sequence in stays else [])


def test_no_limit_set_and_nothing_goes() -> None:
    decisions = by_limits(candidates(10, 10), Limits())
    assert gone(decisions) == []
    assert {one.reason for one in decisions} == {"within the limits"}


def test_the_oldest_go_first_whatever_the_order_of_the_listing() -> None:
    found = candidates(10, 10, 10, 10)
    assert gone(by_limits(found[::-1], Limits(count=2))) == [1, 2]
    assert gone(by_limits(found[::-1], Limits(bytes=25))) == [1, 2]
    assert gone(by_limits(found[::-1], Limits(age_s=1.5))) == [1, 2]
    assert gone(by_limits(found[::-1], Limits(free_bytes=20), free=5)) == [1, 2]


def test_an_archive_that_must_stay_counts_and_the_next_one_goes_in_its_stead() -> None:
    decisions = by_limits(candidates(10, 10, 10, 10), Limits(count=2), stays=[1])
    assert gone(decisions) == [2, 3]
    assert [one.reason for one in decisions] == [
        "held", "more than 2 archives", "more than 2 archives", "within the limits"
    ]  # fmt: skip


def test_archives_from_the_future_do_not_go_by_age() -> None:
    """The clock of another machine, or of this one before a correction, was ahead."""
    late = Candidate(ArchiveId("one", 1), "1", 10, NOW_US + 10**12)
    assert gone(by_limits([late, *candidates(1, 1, 1)[1:]], Limits(age_s=0.5))) == [2]


def test_reasons_to_stay_are_asked_for_only_where_a_limit_asks() -> None:
    """They cost requests."""
    asked = []
    decide(candidates(1, 1, 1), Limits(count=2), NOW_US, 0, lambda one: asked.append(one.name) or [])
    assert asked == ["1"]


@given(
    st.lists(st.integers(0, 100), max_size=30),
    st.builds(Limits, st.floats(0, 30), st.integers(0, 500), st.integers(0, 20), st.integers(0, 300)),
    st.sets(st.integers(1, 30)),
    st.integers(0, 300),
)
def test_what_is_left_is_within_the_limits_or_must_stay_and_nothing_goes_without_need(
    sizes: list[int], limits: Limits, stays: set[int], free: int
) -> None:
    found = candidates(*sizes)
    decisions = by_limits(found, limits, free, sorted(stays))
    assert not set(gone(decisions)) & stays
    left = [one for one in decisions if not one.goes]
    total, count = sum(one.candidate.size for one in left), len(left)
    free += sum(one.candidate.size for one in decisions if one.goes)
    free_to_go = [one for one in left if one.candidate.archive.sequence not in stays]
    if free_to_go:
        oldest = (NOW_US - min(one.candidate.last_us for one in free_to_go)) / 1e6
        assert limits.exceeded(oldest, total, count, free) == ()
    for last in [one for one in decisions if one.goes][-1:]:
        age = (NOW_US - last.candidate.last_us) / 1e6
        size = last.candidate.size
        assert limits.exceeded(age, total + size, count + 1, free - size) != ()


def test_what_is_meant_to_stay_is_not_blocked() -> None:
    found = candidates(1, 1)
    for stay, blocked in ((Stay("a hold", intended=True), False), (Stay("not shipped"), True)):
        decisions = decide(found, Limits(age_s=0.5), NOW_US, 0, lambda _, stay=stay: [stay])
        assert [one.blocked for one in decisions] == [blocked, False]
