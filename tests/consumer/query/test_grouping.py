"""The groups of events."""

import pickle

import pytest

from codec.amqp import Field, encode_header
from codec.event import TIME_US_MAX, TIME_US_MIN, Event, parse_time
from codec.jsonl import field_of
from consumer.errors import Fatal
from consumer.query.grouping import bucket_start, parse_grouping
from tests.support.archive_logs import event


def groups(by: str, of: Event) -> list[tuple[str | None, ...]]:
    return [values for _, values in parse_grouping(by, None).groups_of(of)]


def dead_letter() -> Event:
    deaths = [{"queue": "orders", "reason": "rejected", "count": 2}, {"queue": "older", "reason": "expired"}]
    headers = (("x-death", field_of(deaths)), ("tenant", Field("S", b"acme")), ("retries", Field("l", 3)))
    return event(1)._replace(header=encode_header({"headers": headers, "app_id": "nova"}))


def test_the_fields_of_every_event() -> None:
    found = event(4)._replace(redelivered=True, duplicate="a1-00000001:2")
    assert groups("type, routing_key,key,exchange,id,redelivered,duplicate", found) == [
        ("type.1", "key", "key", "exchange", "id-4", "true", "a1-00000001:2")
    ]
    assert groups("type", found) == [("type.1",)]
    assert parse_grouping(None, None).groups_of(found) == [(None, ())]


def test_dead_letters_are_grouped_by_the_first_entry_of_the_header() -> None:
    """x-death is a list of tables, and its first entry is the newest."""
    by = "headers.x-death.0.queue,headers.x-death.0.reason,headers.x-death.0.count,headers.x-death.1.queue,type"
    assert groups(by, dead_letter()) == [("orders", "rejected", "2", "older", "type.1")]
    assert groups("headers.x-death.2.queue", dead_letter()) == [(None,)]


def test_headers_properties_and_fields_of_the_body() -> None:
    found = dead_letter()._replace(body=b'{"a":{"b":[1,2.50,null,true,{"c":"x"}]},"long":123456789012345678901}')
    assert groups("headers.tenant,headers.retries,properties.app_id,headers.no", found) == [("acme", "3", "nova", None)]
    assert groups("a.b.0,a.b.1,a.b.2,a.b.3,a.b.4,a.b.5", found) == [("1", "2.5", "null", "true", '{"c":"x"}', None)]
    assert groups("body.long", found) == [("123456789012345678901",)]
    assert groups("a", event(1)._replace(body=b"no JSON")) == [(None,)]


def test_an_event_is_in_the_group_of_each_of_its_tags_once() -> None:
    tagged = event(1)._replace(tags=("one", "two", "one"))
    assert groups("tag,type", tagged) == [("one", "type.1"), ("two", "type.1")]
    assert groups("type,tags", event(1)) == [("type.1", None)]


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [
        ("1h", "2026-11-28T22:00:00Z"),
        ("15m", "2026-11-28T22:45:00Z"),
        ("10s", "2026-11-28T22:51:50Z"),
        ("1d", "2026-11-28T00:00:00Z"),
        ("1w", "2026-11-23T00:00:00Z"),  # a Monday
    ],
)
def test_a_bucket_begins_at_a_round_time_of_utc(bucket: str, expected: str) -> None:
    grouping = parse_grouping(None, bucket)
    found = event(1)._replace(time_us=parse_time("2026-11-28T22:51:59.999999Z"))
    assert grouping.groups_of(found) == [(parse_time(expected), ())]


def test_buckets_cover_the_whole_calendar() -> None:
    for size in (1_000_000, 86_400_000_000, 604_800_000_000):
        assert bucket_start(TIME_US_MIN, size) == TIME_US_MIN
        assert TIME_US_MAX - size < bucket_start(TIME_US_MAX, size) <= TIME_US_MAX
        assert bucket_start(-1, size) < 0 <= bucket_start(-1, size) + size


@pytest.mark.parametrize(
    ("by", "bucket", "message"),
    [
        ("type,type", None, "name each field once"),
        ("tag,tags", None, "name each field once"),
        ("time", None, "--bucket"),
        ("events", None, "write body.events"),
        ("body", None, "payload.size"),
        ("", None, "use type, routing_key"),
        ("type,", None, "use type, routing_key"),
        ("size>3", None, "use type, routing_key"),
        ("payload..size", None, "is not the path of a field"),
        ("properties.nope", None, "AMQP has no property 'nope'"),
        (None, "1y", "10s, 15m, 1h, 1d or 1w"),
        (None, "0s", "10s, 15m, 1h, 1d or 1w"),
        (None, "", "10s, 15m, 1h, 1d or 1w"),
    ],
)
def test_wrong_groups_are_refused_before_anything_is_read(by: str | None, bucket: str | None, message: str) -> None:
    with pytest.raises(Fatal, match=message):
        parse_grouping(by, bucket)


def test_a_grouping_can_be_sent_to_another_process() -> None:
    grouping = parse_grouping("type,tag,payload.x,headers.tenant", "1h")
    assert pickle.loads(pickle.dumps(grouping)) == grouping
    assert pickle.loads(pickle.dumps(grouping)).groups_of(dead_letter()) == grouping.groups_of(dead_letter())
