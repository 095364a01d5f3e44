import orjson
import pytest

from codec.event import Event, format_time
from consumer.ingest.describe import describe
from consumer.ingest.presets.celery import describe_celery
from tests.support.deliveries import delivery
from tests.support.golden_presets import golden, refined

TASK = "7c869214-01da-4ce4-93f8-5443b9e8fc86"
ONE = {"type": "task-sent", "hostname": "host1", "timestamp": 1_795_921_107.5, "uuid": "u"}


def events() -> list[Event]:
    return [refined(describe_celery, found) for found in golden("celery")]


def test_the_event_of_a_task_is_read() -> None:
    event = next(one for one in events() if one.routing_key == "task.sent")
    assert (event.id, event.type) == (TASK, "task-sent")
    assert format_time(event.time_us) == "2026-11-29T02:58:27.550502Z"
    assert event.tags == (f"task:{TASK}", "worker:gen19383@vm", "event:task-sent")


def test_the_event_of_a_worker_has_no_id() -> None:
    event = next(one for one in events() if one.routing_key == "worker.heartbeat")
    assert (event.id, event.type, event.tags) == (
        "",
        "worker-heartbeat",
        ("worker:solo@host1", "event:worker-heartbeat"),
    )
    assert format_time(event.time_us) == "2026-11-29T02:58:24.376240Z"


def test_a_list_of_events_of_one_task_has_its_id_and_a_tag_for_each_type() -> None:
    event = next(one for one in events() if one.routing_key == "task.multi")
    assert (event.id, event.type) == (TASK, "task-multi")
    assert format_time(event.time_us) == "2026-11-29T02:58:27.541672Z"  # of the first one
    assert event.tags == (
        f"task:{TASK}",
        "worker:solo@host1",
        "event:task-received",
        "event:task-started",
        "event:task-succeeded",
    )


def test_a_list_of_one_event_is_read_as_that_event() -> None:
    """The pool `prefork` writes such lists."""
    types = [one.type for one in events() if one.routing_key == "task.multi" and "worker:prefork@host1" in one.tags]
    assert types == ["task-received", "task-started", "task-succeeded", "task-received", "task-started", "task-failed"]


def test_a_list_of_several_tasks_has_no_id_and_keeps_a_common_type() -> None:
    body = orjson.dumps([ONE, ONE | {"uuid": "v", "timestamp": 1_795_921_100}])
    event = refined(describe_celery, delivery(1, body))
    assert (event.id, event.type, event.time_us) == ("", "task-sent", 1_795_921_100_000_000)
    assert event.tags == ("task:u", "worker:host1", "event:task-sent", "task:v")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"5", b"\xff", b"[5]", b"[" * 100_000, orjson.dumps([ONE, 5]), orjson.dumps(ONE | {"timestamp": "now"}),
     orjson.dumps(ONE | {"type": 5}), orjson.dumps({"type": "order.placed", "timestamp": 5})],
)  # fmt: skip
def test_a_message_that_is_no_event_of_celery_stays_as_it_is(body: bytes) -> None:
    assert refined(describe_celery, delivery(1, body)) == describe(delivery(1, body))
