"""The outcome of published messages."""

from consumer.amqp.settled import Outcome, Settled, Window


def test_outcomes_differ_by_kind_and_not_by_text() -> None:
    assert Settled(1, Outcome.REFUSED, "a") != Settled(1, Outcome.UNROUTABLE, "a")
    assert len(set(Outcome)) == 3


def test_a_window_holds_many_messages_of_a_usual_size() -> None:
    assert Window().messages * 415 < Window().bytes
