import orjson

from consumer.demo.notifications import notifications


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert list(notifications(50)) == list(notifications(50))
    assert list(notifications(50, seed=2)) != list(notifications(50))


def test_they_look_like_those_of_a_cloud() -> None:
    found = list(notifications(2000))
    assert len({one.message_id for one in found}) == 2000
    assert 1500 < sum(len(one.body) for one in found) / 2000 < 3500
    for one in found:
        body = orjson.loads(one.body)
        assert (body["message_id"], body["event_type"]) == (one.message_id, one.event_type)
        assert one.routing_key in ("notifications.info", "notifications.error")
    assert len({one.event_type for one in found}) > 10
