"""Filters and fields of dead-lettered events."""

import pytest

from codec.amqp import Field, encode_header
from consumer.query.deaths import FIELDS, DeathFilter, death_field, is_death_field
from tests.support.archive_logs import event
from tests.support.dead_letters import dead, dead_once, entry, first_death, text

TWICE = event(1)._replace(
    header=dead(entry("retry", "expired", "dlx", ("r",), 3), entry(keys=("k", "cc")), others=first_death())
)


def test_each_field_is_that_of_the_first_or_of_the_last_death() -> None:
    assert [death_field(name)(TWICE) for name in FIELDS] == [
        *("orders", "rejected", "1", "shop", "k"), *("retry", "expired", "3", "dlx", "r"),
    ]  # fmt: skip
    assert FIELDS[:2] == ("x-death.queue", "x-death.reason")


def test_an_event_that_never_died_has_no_field_and_passes_no_filter() -> None:
    assert {death_field(name)(event(1)) for name in FIELDS} == {None}
    assert not DeathFilter(queue="*").accepts(event(1))
    assert not DeathFilter(reason="rejected").accepts(event(1))


def test_a_death_may_lack_fields() -> None:
    odd = event(1)._replace(header=encode_header({"headers": (("x-first-death-reason", text("rejected")),)}))
    assert [death_field(name)(odd) for name in FIELDS] == [None, "rejected", None, None, None] * 2
    assert DeathFilter(reason="rejected").accepts(odd)
    assert not DeathFilter(queue="q*").accepts(odd)


@pytest.mark.parametrize(
    ("queue", "reason", "accepted"),
    [
        ("orders", None, True),
        ("ord*", "rejected", True),
        (None, "rejected", True),
        ("retry", None, False),
        ("*", "expired", False),
    ],
)
def test_a_filter_asks_the_first_death(queue: str | None, reason: str | None, accepted: bool) -> None:
    assert DeathFilter(queue, reason).accepts(TWICE) is accepted


def test_events_in_turn_are_not_mixed_up() -> None:
    """The deaths of the last headers are remembered."""
    many = [event(1)._replace(header=dead_once(f"q{number}")) for number in range(40)] * 2
    assert [death_field("x-death.queue")(one) for one in many] == [f"q{number}" for number in range(40)] * 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x-death.queue", True),
        ("x-death", True),
        ("x-last-death.x", True),
        ("x-deaths.queue", False),
        ("body.x-death.queue", False),
    ],
)
def test_names_that_look_like_a_field_of_a_death(name: str, expected: bool) -> None:
    assert is_death_field(name) is expected


def test_hostile_headers_are_no_error() -> None:
    odd = event(1)._replace(header=encode_header({"headers": (("x-death", Field("S", b"x-death")),)}))
    assert death_field("x-death.queue")(odd) is None
