from collections.abc import Iterable

import pytest

from codec.amqp import Field, encode_header
from codec.event import Event
from consumer.amqp.delivery import Delivery
from consumer.ingest import dedupe
from consumer.ingest.dedupe import KNOWN_S, REFRESH_SHARE, Deduplicator, fingerprint
from consumer.ingest.describe import describe
from tests.support.deliveries import delivery
from tests.support.messages import nested

COUNT = ("x-delivery-count", Field("l", 7))
WITH_ID = encode_header({"message_id": "m"})


def again(found: Delivery, count: int = 1) -> Delivery:
    """Return the delivery as a quorum queue redelivers it."""
    headers = (("x-delivery-count", Field("l", count)),)
    known = {"message_id": "m"} if found.header == WITH_ID else {}
    return found._replace(
        tag=found.tag + 100,
        redelivered=True,
        header=encode_header(known | {"headers": headers}),
        arrived_us=found.arrived_us + 9,
    )


class Archives:
    """The archived events: `own` are loaded when a generation begins, `news` on request."""

    def __init__(self, *own: Event) -> None:
        self.own = [(f"one-00000001:{number}", event) for number, event in enumerate(own)]
        self.news: list[tuple[str, Event]] = []
        self.asked = 0
        self.now = self.takes_s = 0.0

    def window(self) -> Iterable[tuple[str, Event]]:
        return self.own

    def changed(self) -> Iterable[tuple[str, Event]]:
        self.asked += 1
        self.now += self.takes_s
        found, self.news = self.news, []
        return found

    def deduplicator(self) -> Deduplicator:
        made = Deduplicator(describe, self, lambda: self.now)
        made.begin()
        return made


def archived(*deliveries: Delivery) -> Deduplicator:
    return Archives(*map(describe, deliveries)).deduplicator()


def marks(events: list[Event]) -> list[str]:
    return [event.duplicate for event in events]


def test_a_redelivery_of_an_archived_message_is_archived_and_marked() -> None:
    for header in (WITH_ID, b"\0\0"):
        first = delivery(1, header=header)
        made = archived(first)
        (event,) = made.events([again(first)])
        assert (event.duplicate, event.body, event.redelivered) == ("one-00000001:0", first.body, True)
        assert (made.redelivered, made.marked) == (1, 1)


def test_a_redelivery_of_an_unarchived_message_is_not_marked() -> None:
    made = archived(delivery(1, b"other", header=WITH_ID))
    (event,) = made.events([again(delivery(2, header=WITH_ID))])
    assert not event.duplicate
    assert event.redelivered


def test_messages_with_the_same_id_and_different_bodies_are_not_duplicates() -> None:
    """A duplicate has equal content."""
    first, second = delivery(1, b"one", header=WITH_ID), delivery(2, b"two", header=WITH_ID)
    assert marks(archived(first).events([again(first), again(second)])) == ["one-00000001:0", ""]


def test_an_archived_event_matches_one_redelivery() -> None:
    first = delivery(1, header=WITH_ID)
    assert marks(archived(first).events([again(first), again(first, 2)])) == ["one-00000001:0", ""]


def test_two_equal_messages_that_are_both_redelivered_stay_two() -> None:
    first = delivery(1, header=WITH_ID)
    found = archived(first, first).events([again(first), again(first), again(first)])
    assert marks(found) == ["one-00000001:0", "one-00000001:1", ""]


def test_a_third_delivery_is_marked_with_the_position_of_the_first() -> None:
    """The second delivery is archived too. Both archived events belong to one message."""
    first = delivery(1, header=WITH_ID)
    second = describe(again(first))._replace(duplicate="one-00000001:0")
    found = Archives(describe(first), second).deduplicator().events([again(first, 2), again(first, 2)])
    assert marks(found) == ["one-00000001:0", ""]


def test_a_message_that_is_not_redelivered_is_never_compared() -> None:
    first = delivery(1, header=WITH_ID)
    made = archived(first)
    assert marks(made.events([first, first])) == ["", ""]
    assert made.redelivered == 0


def test_a_new_generation_loads_the_archived_events_again() -> None:
    first = delivery(1, header=WITH_ID)
    archives = Archives(describe(first))
    made = archives.deduplicator()
    archives.own = []
    made.begin()
    assert marks(made.events([again(first)])) == [""]


def test_archived_events_are_forgotten_after_a_time() -> None:
    """An equal message that is published hours later is another message."""
    first = delivery(1, header=WITH_ID)
    archives = Archives(describe(first))
    made = archives.deduplicator()
    archives.now = KNOWN_S + 1
    assert marks(made.events([again(first)])) == [""]


def test_the_number_of_known_events_is_bounded_and_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "KNOWN_MAX", 3)
    sent = [delivery(number, b"%d" % number) for number in range(5)]
    found = archived(*sent).events([again(one) for one in sent])
    assert marks(found) == ["", "", *(f"one-00000001:{number}" for number in (2, 3, 4))]


def test_an_event_that_another_instance_has_just_archived_is_marked() -> None:
    first, second = delivery(1, header=WITH_ID), delivery(2, b"2", header=WITH_ID)
    archives = Archives()
    made = archives.deduplicator()
    archives.news = [("other-00000009:7", describe(first)), ("other-00000009:8", describe(second))]
    assert marks(made.events([delivery(3), again(first)])) == ["", "other-00000009:7"]
    assert marks(made.events([again(second)])) == ["other-00000009:8"]
    assert archives.asked == 1


def test_after_a_match_the_other_archives_are_read_again_without_a_wait() -> None:
    """If two instances crashed within a second, the archives of the second were not read."""
    archives = Archives()
    archives.takes_s = 1.0
    made = archives.deduplicator()
    for number, name in enumerate(("first", "second")):
        found = delivery(number, b"%d" % number)
        archives.news = [(f"{name}-00000001:0", describe(found))]
        assert marks(made.events([again(found)])) == [f"{name}-00000001:0"]
    assert archives.asked == 2


def test_reading_other_archives_without_a_match_takes_at_most_a_tenth_of_the_time() -> None:
    archives = Archives()
    archives.takes_s = 0.25
    made = archives.deduplicator()
    step = 0
    while archives.now < 100:
        archives.now += 0.01
        made.events([again(delivery(step, b"%d" % step))])
        step += 1
    assert 0.9 * REFRESH_SHARE <= archives.asked * archives.takes_s / archives.now <= 1.1 * REFRESH_SHARE


def test_the_first_new_message_after_redeliveries_is_noticed() -> None:
    made = archived()
    made.events([again(delivery(1))])
    assert not made.new_messages
    made.events([again(delivery(2)), delivery(3)])
    assert made.new_messages
    made.begin()
    assert not made.new_messages


def test_the_highest_delivery_count_is_recorded() -> None:
    made = archived()
    made.events(
        [again(delivery(1), count=7), again(delivery(2), count=3), delivery(3, redelivered=True, header=b"\xff")]
    )
    assert made.delivery_count_max == 7


def test_a_fingerprint_depends_on_every_part_of_the_message() -> None:
    base = delivery(1, header=WITH_ID)
    others = [base._replace(exchange="x"), base._replace(routing_key="x"), base._replace(body=b"x"), base._replace(header=b"\0\0"),
              base._replace(exchange="exchangek", routing_key="ey")]  # fmt: skip
    assert len({fingerprint(found) for found in [base, *others]}) == 6
    assert fingerprint(base) == fingerprint(again(base)) == fingerprint(describe(base))


def test_the_delivery_count_is_found_in_a_header_of_any_depth() -> None:
    """A table that was nested 100 levels deep was not read. Its message was returned until the queue dropped it."""
    deep = nested(150)
    first = delivery(1, header=encode_header({"headers": deep}))
    made = archived(first)
    (event,) = made.events(
        [delivery(2, first.body, redelivered=True, header=encode_header({"headers": (*deep, COUNT)}))]
    )
    assert made.delivery_count_max == 7
    assert event.duplicate == "one-00000001:0"
