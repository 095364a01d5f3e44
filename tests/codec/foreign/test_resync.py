from codec.amqp import Field, decode_header
from codec.event import TIME_US_MAX
from codec.foreign.resync import event_of, gap, headers_of
from codec.gap import Gap, GapKind


def test_what_a_file_said_becomes_headers() -> None:
    made = event_of(b"x", id="i", type="t", time_us=5, headers=[("a", "1"), ("é", "\udcff")], tags=("t",))
    assert decode_header(made.header) == {"headers": (("a", Field("S", b"1")), ("é", Field("S", b"\xff")))}
    assert headers_of(made) == {"a": "1", "é": "\udcff"}
    assert (made.id, made.type, made.time_us, made.tags, made.exchange) == ("i", "t", 5, ("t",), "")


def test_without_headers_there_is_no_table() -> None:
    assert decode_header(event_of(b"", id="", type="", time_us=0, headers=[]).header) == {}


def test_an_event_of_a_broker_was_not_imported() -> None:
    assert headers_of(event_of(b"", id="", type="", time_us=0, headers=[])._replace(routing_key="k")) is None


def test_a_time_past_the_calendar_is_its_last_instant() -> None:
    assert event_of(b"", id="", type="", time_us=1 << 70, headers=[]).time_us == TIME_US_MAX


def test_gaps_say_whether_something_follows() -> None:
    assert gap(5, None, 20, "why") == Gap(5, 15, GapKind.TORN, "why")
    assert gap(5, 9, 20, "why") == Gap(5, 4, GapKind.DAMAGED, "why")
