"""Which event waits and which is set aside. The texts are those of RabbitMQ."""

import pytest

from consumer.amqp.settled import Outcome, Settled
from consumer.amqp.unconfirmed import NACKED
from consumer.replay.hindrance import Hindrance, Patience, hindrance_of

REASONS = [
    (Outcome.CONFIRMED, "", None),
    (Outcome.UNROUTABLE, "312 NO_ROUTE: exchange 'x', routing key 'access to y'", Hindrance.ROUTE),
    (Outcome.REFUSED, "NOT_FOUND - no exchange 'x' in vhost '/'", Hindrance.DESTINATION),
    (Outcome.REFUSED, "ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused for user 'a'", Hindrance.DESTINATION),
    (Outcome.REFUSED, "ACCESS_REFUSED - write access to topic 'a.b' in exchange 'x' in vhost '/' refused for user 'a'", Hindrance.DESTINATION),
    (Outcome.REFUSED, "ACCESS_REFUSED - cannot publish to internal exchange 'x' in vhost '/'", Hindrance.DESTINATION),
    (Outcome.REFUSED, NACKED, Hindrance.DESTINATION),
    (Outcome.REFUSED, "PRECONDITION_FAILED - user_id property set to 'x' but authenticated user was 'guest'", Hindrance.ROUTE),
    (Outcome.REFUSED, "INTERNAL_ERROR", Hindrance.ROUTE),
    (Outcome.REFUSED, "PRECONDITION_FAILED - message size 200 is larger than configured max size 100", Hindrance.MESSAGE),
    (Outcome.REFUSED, "PRECONDITION_FAILED - invalid expiration 'x': not_a_number", Hindrance.MESSAGE),
    (Outcome.REFUSED, "a reason that is not known", Hindrance.MESSAGE),
]  # fmt: skip


@pytest.mark.parametrize(("outcome", "reason", "found"), REASONS)
def test_the_kind_follows_from_the_outcome_and_the_text(outcome: Outcome, reason: str, found: Hindrance | None) -> None:
    assert hindrance_of(Settled(1, outcome, reason)) is found


def test_patience_is_over_after_its_time_and_stays_so_while_events_have_no_route() -> None:
    patience = Patience(100)
    assert [patience.is_over(at) for at in (0, 50, 99, 100, 150, 250, 350)] == [
        False,
        False,
        False,
        True,
        True,
        True,
        True,
    ]


def test_patience_begins_anew_after_a_time_without_such_an_event() -> None:
    patience = Patience(100)
    assert [patience.is_over(at) for at in (0, 100, 201, 300, 301)] == [False, True, False, False, True]


def test_without_patience_every_event_is_set_aside_at_once() -> None:
    patience = Patience(0)
    assert [patience.is_over(at) for at in (0, 5, 5, 9)] == [True, True, True, True]


def test_the_waits_between_two_attempts_do_not_begin_the_patience_anew() -> None:
    patience = Patience(1)
    assert [patience.is_over(at) for at in (0, 0.5, 30, 60, 121)] == [False, False, True, True, False]
