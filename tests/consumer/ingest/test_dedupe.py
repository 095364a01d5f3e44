from codec.amqp import Field, encode_header
from consumer.ingest.dedupe import Intake, fingerprint
from consumer.ingest.delivery import Delivery, describe
from tests.support.deliveries import delivery

WITH_ID = encode_header({"message_id": "m"})


def again(found: Delivery, count: int = 1) -> Delivery:
    """The delivery as a quorum queue delivers it again."""
    headers = (("x-delivery-count", Field("l", count)),)
    known = {"message_id": "m"} if found.header == WITH_ID else {}
    return found._replace(
        tag=found.tag + 100,
        redelivered=True,
        header=encode_header(known | {"headers": headers}),
        arrived_us=found.arrived_us + 9,
    )


def intake(*archived: Delivery) -> Intake:
    made = Intake(describe)
    made.remember((f"one-00000001:{number}", describe(found)) for number, found in enumerate(archived))
    return made


def test_a_redelivery_of_an_archived_message_is_dropped() -> None:
    first = delivery(1, header=WITH_ID)
    made = intake(first)
    assert made.events([again(first)]) == []
    assert (made.redelivered, made.dropped, made.marked) == (1, 1, 0)


def test_a_redelivery_of_an_unarchived_message_is_archived() -> None:
    made = intake(delivery(1, b"other", header=WITH_ID))
    (event,) = made.events([again(delivery(2, header=WITH_ID))])
    assert not event.duplicate
    assert event.redelivered


def test_without_an_id_equality_proves_nothing_and_the_event_is_marked() -> None:
    first = delivery(1)
    made = intake(first)
    (event,) = made.events([again(first)])
    assert event.duplicate == "one-00000001:0"
    assert (made.dropped, made.marked) == (0, 1)


def test_two_messages_with_one_id_are_two() -> None:
    """Only equal content makes a duplicate."""
    first, second = delivery(1, b"one", header=WITH_ID), delivery(2, b"two", header=WITH_ID)
    made = intake(first)
    assert [event.body for event in made.events([again(first), again(second)])] == [b"two"]


def test_an_archived_event_stands_for_one_redelivery() -> None:
    first = delivery(1, header=WITH_ID)
    made = intake(first)
    assert len(made.events([again(first), again(first, 2)])) == 1


def test_what_is_not_redelivered_is_never_compared() -> None:
    first = delivery(1, header=WITH_ID)
    made = intake(first)
    assert len(made.events([first, first])) == 2
    assert made.redelivered == 0


def test_a_new_generation_forgets_the_old_window() -> None:
    first = delivery(1, header=WITH_ID)
    made = intake(first)
    made.remember([])
    assert len(made.events([again(first)])) == 1


def test_the_highest_delivery_count_is_noticed() -> None:
    made = intake()
    made.events(
        [again(delivery(1), count=7), again(delivery(2), count=3), delivery(3, redelivered=True, header=b"\xff")]
    )
    assert made.delivery_count_max == 7


def test_a_fingerprint_sees_every_part() -> None:
    base = delivery(1, header=WITH_ID)
    others = [base._replace(exchange="x"), base._replace(routing_key="x"), base._replace(body=b"x"), base._replace(header=b"\0\0"),
              base._replace(exchange="exchangek", routing_key="ey")]  # fmt: skip
    assert len({fingerprint(found) for found in [base, *others]}) == 6
    assert fingerprint(base) == fingerprint(again(base)) == fingerprint(describe(base))
