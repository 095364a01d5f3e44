from hypothesis import given

from codec.event import Event
from codec.fingerprint import fingerprint
from tests.codec.strategies import events

PLAIN = Event("id", "type", 1, 2, "exchange", "key", b"\0\0", b"body", tags=("a", "b"))


@given(events, events)
def test_equal_events_and_no_others_have_one_fingerprint(one: Event, other: Event) -> None:
    same = one._replace(duplicate="", redelivered=False) == other._replace(duplicate="", redelivered=False)
    assert (fingerprint(one) == fingerprint(other)) is same


def test_every_field_counts_and_its_border_too() -> None:
    changed = [
        PLAIN._replace(id="ie"), PLAIN._replace(type="t"), PLAIN._replace(time_us=2), PLAIN._replace(arrived_us=3),
        PLAIN._replace(exchange="exchangek", routing_key="ey"), PLAIN._replace(header=b"\0\0b", body=b"ody"),
        PLAIN._replace(tags=("ab",)), PLAIN._replace(tags=("b", "a")),
    ]  # fmt: skip
    assert len({fingerprint(event) for event in (PLAIN, *changed)}) == 1 + len(changed)


def test_a_mark_does_not_count() -> None:
    assert fingerprint(PLAIN._replace(duplicate="a1-00000007:41", redelivered=True)) == fingerprint(PLAIN)


def test_a_fingerprint_never_changes_because_checkpoints_hold_it() -> None:
    assert fingerprint(PLAIN) == "e7759ea1a998d1ff"
