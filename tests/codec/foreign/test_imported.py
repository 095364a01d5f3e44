from codec.amqp import Field, decode_header
from codec.event import TIME_US_MAX
from codec.foreign.imported import imported_event, imported_headers


def test_members_without_a_place_in_an_event_become_headers() -> None:
    made = imported_event(b"x", id="i", type="t", time_us=5, headers=[("a", "1"), ("é", "\udcff")], tags=("t",))
    assert decode_header(made.header) == {"headers": (("a", Field("S", b"1")), ("é", Field("S", b"\xff")))}
    assert imported_headers(made) == {"a": "1", "é": "\udcff"}
    assert (made.id, made.type, made.time_us, made.tags, made.exchange) == ("i", "t", 5, ("t",), "")


def test_an_event_without_headers_has_no_header_table() -> None:
    assert decode_header(imported_event(b"", id="", type="", time_us=0, headers=[]).header) == {}


def test_an_event_from_a_broker_has_no_imported_headers() -> None:
    assert (
        imported_headers(imported_event(b"", id="", type="", time_us=0, headers=[])._replace(routing_key="k")) is None
    )


def test_a_time_after_the_end_of_the_calendar_becomes_its_last_instant() -> None:
    assert imported_event(b"", id="", type="", time_us=1 << 70, headers=[]).time_us == TIME_US_MAX
