import asyncio
from collections.abc import Callable

import pytest

from codec.event import TIME_US_MAX, Event
from codec.limits import TEXT_CHARACTERS_MAX
from consumer import log
from consumer.amqp.delivery import Delivery
from consumer.ingest import log_events
from consumer.ingest.describe import describe
from consumer.ingest.presets.guard import Guard, checking
from tests.support.deliveries import delivery

FOUND = delivery(1, routing_key="order.placed")
EVENT = describe(FOUND)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    lines: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: lines.append((event.name, fields)))
    return lines


def test_id_type_time_and_tags_are_taken(logged: list[object]) -> None:
    guard = Guard("shop:f", checking(lambda _, event: event._replace(id="i", type="t", time_us=5, tags=("a", "b"))))
    assert guard(FOUND, EVENT) == EVENT._replace(id="i", type="t", time_us=5, tags=("a", "b"))
    assert logged == []


class Text(str):
    __slots__ = ()


class Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def fails(error: BaseException) -> Callable[[Delivery, Event], Event]:
    def describer(_: Delivery, __: Event) -> Event:
        raise error

    return describer


@pytest.mark.parametrize(
    "error", [ValueError("five"), KeyError("x"), RecursionError(), MemoryError(), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), Hostile()],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_an_error_leaves_the_event_as_it_was(error: BaseException, logged: list[tuple[str, dict[str, object]]]) -> None:
    assert Guard("shop:f", fails(error))(FOUND, EVENT) is EVENT
    ((name, fields),) = logged
    assert name == log_events.DESCRIBER_FAILED.name
    assert (fields["describer"], fields["exchange"], fields["routing_key"]) == ("shop:f", "exchange", "order.placed")
    assert type(error).__name__ in str(fields["reason"])
    assert "test_guard.py, line " in str(fields["reason"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": b"other"}, "body was changed"), ({"header": b""}, "header was changed"), ({"exchange": "x"}, "exchange was changed"),
        ({"routing_key": "x"}, "routing_key was changed"), ({"arrived_us": 1}, "arrived_us was changed"), ({"redelivered": True}, "redelivered was changed"),
        ({"duplicate": "a-00000001:0"}, "duplicate was changed"), ({"id": 5}, "id of type int"), ({"type": b"t"}, "type of type bytes"),
        ({"id": Text("i")}, "id of type Text"), ({"id": "x" * (TEXT_CHARACTERS_MAX + 1)}, "id of 262145 characters"),
        ({"time_us": 1.5}, "time_us 1.5 returned"), ({"time_us": True}, "time_us True returned"), ({"time_us": TIME_US_MAX + 1}, "time_us 253402300800000000 returned"),
        ({"tags": (5,)}, "tag of type int"), ({"tags": None}, "TypeError"), ({"tags": ("x" * 200_000, "y" * 200_000)}, "tags of more than 262144"),
        ({"tags": ("deedbox:removed",)}, "'deedbox:' returned"),
    ],
)  # fmt: skip
def test_what_an_archive_cannot_hold_and_other_fields_are_refused(
    changes: dict[str, object], reason: str, logged: list[tuple[str, dict[str, object]]]
) -> None:
    guard = Guard("shop:f", checking(lambda _, event: event._replace(**changes)))
    assert guard(FOUND, EVENT) is EVENT
    assert reason in str(logged[0][1]["reason"])


@pytest.mark.parametrize("found", [None, (), "event", 5])
def test_what_is_no_event_is_refused(found: object, logged: list[tuple[str, dict[str, object]]]) -> None:
    assert Guard("shop:f", checking(lambda _, __: found))(FOUND, EVENT) is EVENT  # type: ignore[arg-type, return-value]  # that is the mistake
    assert f"{type(found).__name__} returned, an Event expected" in str(logged[0][1]["reason"])


def test_only_the_first_failure_is_logged_and_later_messages_are_described(logged: list[object]) -> None:
    def describer(_: Delivery, event: Event) -> Event:
        return event._replace(id=event.body.decode())

    guard = Guard("shop:f", describer)
    for _ in range(3):
        bad = delivery(1, b"\xff")
        assert guard(bad, describe(bad)).id == ""
    assert guard(FOUND, EVENT).id == "body"
    assert len(logged) == 1
