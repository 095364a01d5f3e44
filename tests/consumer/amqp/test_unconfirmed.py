from hypothesis import given
from hypothesis import strategies as st

from consumer.amqp.confirm_splitter import Confirm, Returned
from consumer.amqp.outgoing import Outgoing
from consumer.amqp.settled import Outcome, Settled
from consumer.amqp.unconfirmed import NACKED, Unconfirmed

CONFIRMED, UNROUTABLE, REFUSED = Outcome.CONFIRMED, Outcome.UNROUTABLE, Outcome.REFUSED
MARKER = b"\x10x-deedbox-replayF\x00\x00\x00\x03\x01aV"


def message(key: str = "q", body: bytes = b"body", header: bytes = b"\x00\x00") -> Outgoing:
    return Outgoing("ex", key, header, body)


def returned(message: Outgoing) -> Returned:
    return Returned(1, 312, "NO_ROUTE", *message)


def filled(*messages: Outgoing) -> Unconfirmed:
    """The messages with the numbers 100, 101, ..."""
    held = Unconfirmed()
    for number, one in enumerate(messages, 100):
        held.add((number, one))
    return held


def outcomes(settled: list[Settled]) -> list[tuple[int, Outcome]]:
    return [(number, outcome) for number, outcome, _reason in settled]


def test_one_confirm_settles_one_message_and_a_multiple_one_all_before_it() -> None:
    held = filled(*[message()] * 5)
    assert outcomes(held.confirm(Confirm(1, 2, False, True))) == [(101, CONFIRMED)]
    assert outcomes(held.confirm(Confirm(1, 4, True, True))) == [(100, CONFIRMED), (102, CONFIRMED), (103, CONFIRMED)]
    assert held.messages() == [(104, message())]
    assert held.bytes == 6


def test_a_nack_refuses() -> None:
    held = filled(*[message()] * 3)
    assert held.confirm(Confirm(1, 2, True, False)) == [Settled(100, REFUSED, NACKED), Settled(101, REFUSED, NACKED)]


def test_tag_0_with_multiple_means_all() -> None:
    assert len(filled(*[message()] * 3).confirm(Confirm(1, 0, True, True))) == 3


def test_a_confirm_of_a_settled_or_unknown_message_settles_nothing() -> None:
    held = filled(message())
    assert held.confirm(Confirm(1, 7, False, True)) == []
    held.confirm(Confirm(1, 1, False, True))
    assert held.confirm(Confirm(1, 1, False, True)) == []
    assert held.confirm(Confirm(1, 1, True, True)) == []


steps = st.none() | st.builds(Confirm, st.just(1), st.integers(1, 30), st.booleans(), st.booleans())


@given(st.lists(steps, max_size=60))
def test_any_order_of_confirms_settles_each_message_once(steps: list[Confirm | None]) -> None:
    """A step without a confirm publishes a message. The model is a table of the messages that no confirm has reached."""
    held, left, next_tag = Unconfirmed(), dict[int, int](), 1
    for step in [*steps, Confirm(1, 0, True, True)]:
        if step is None:
            held.add((1000 + next_tag, message(body=b"x" * next_tag)))
            left[next_tag] = 1000 + next_tag
            next_tag += 1
            continue
        tag = step.tag or next_tag  # 0 means all
        step = step._replace(tag=min(step.tag, next_tag - 1))  # a broker confirms only what was published
        reached = [one for one in left if (one <= tag if step.multiple else one == step.tag)]
        expected = [(left.pop(one), CONFIRMED if step.accepted else REFUSED) for one in reached]
        assert outcomes(held.confirm(step)) == expected
        assert [number for number, _ in held.messages()] == list(left.values())
        assert held.bytes == sum(2 + one for one in left)
    assert not left


def test_a_returned_message_is_settled_once() -> None:
    held = filled(message("a"), message("b"), message("a"))
    assert held.returned(returned(message("b"))) == [
        Settled(101, UNROUTABLE, "312 NO_ROUTE: exchange 'ex', routing key 'b'")
    ]
    assert outcomes(held.confirm(Confirm(1, 3, True, True))) == [(100, CONFIRMED), (102, CONFIRMED)]


def test_identical_messages_are_returned_in_their_order() -> None:
    held = filled(message("gone"), message("a"), message("gone"), message("gone"))
    for number in (100, 102, 103):
        assert outcomes(held.returned(returned(message("gone")))) == [(number, UNROUTABLE)]


def test_a_later_message_is_found_by_its_body_or_header() -> None:
    held = filled(message(), message(body=b"other"), message(header=b"\x10\x00\x02"))
    assert outcomes(held.returned(returned(message(body=b"other")))) == [(101, UNROUTABLE)]
    assert outcomes(held.returned(returned(message(header=b"\x10\x00\x02")))) == [(102, UNROUTABLE)]


def test_a_header_that_the_broker_changed_is_found_by_its_marker() -> None:
    marked = message(header=b"\x20\x00" + MARKER + b"\x03BCCV")
    held = filled(message(), marked, message())
    assert outcomes(held.returned(returned(marked._replace(header=b"\x20\x00" + MARKER)))) == [(101, UNROUTABLE)]


def test_a_header_that_the_broker_changed_is_found_by_body_and_key() -> None:
    held = filled(message(body=b"other"), message(), message())
    changed = returned(message(header=b"anything"))
    assert [outcomes(held.returned(changed)) for _ in range(2)] == [[(101, UNROUTABLE)], [(102, UNROUTABLE)]]


def test_a_return_of_no_known_message_settles_nothing() -> None:
    assert filled(message()).returned(returned(message("b"))) == []
