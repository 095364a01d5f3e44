import pytest
from hypothesis import given

from codec.amqp import Field, Table, encode_header
from codec.event import Event
from codec.header_parts import headers_in
from consumer.amqp.outgoing import Outgoing
from consumer.replay.origin import NOT_DEAD_LETTERED, origin_route, to_origin
from consumer.replay.target import Overrides, Unpublishable
from tests.codec.strategies import headers
from tests.support.archive_logs import event
from tests.support.dead_letters import dead, dead_once, entry, first_death, last_death, text

OWN: Table = (("tenant", text("acme")), ("odd", Field("F", (("list", Field("A", (Field("d", 0.5),))),))))
CC: Table = (("CC", Field("A", (text("copy.1"), text("copy.2")))),)


def sent_back(header: bytes) -> Outgoing:
    """The message of an event that died, which came from a dead-letter exchange."""
    found = to_origin(died(header))
    assert isinstance(found, Outgoing), found
    return found


def died(header: bytes) -> Event:
    return event(1)._replace(exchange="dlx", routing_key="dead.key", header=header)


def test_a_message_goes_to_the_exchange_and_key_of_its_first_death_without_it() -> None:
    found = sent_back(dead(others=(*OWN, *first_death(), *last_death()), priority=3, message_id="m"))
    own = encode_header({"headers": OWN, "priority": 3, "message_id": "m"})
    assert found == Outgoing("shop", "order.new", own, event(1).body)


def test_after_two_deaths_it_goes_where_it_died_first() -> None:
    header = dead(entry("retry", "expired", "dlx", ("r",)), entry(), others=first_death())
    assert sent_back(header)[:3] == ("shop", "order.new", b"\0\0")


def test_counts_of_deliveries_and_offsets_are_removed_too() -> None:
    """The dead-letter queue may be a quorum queue, or a stream."""
    counts = tuple((name, Field("l", 4)) for name in ("x-delivery-count", "x-acquired-count", "x-stream-offset"))
    assert sent_back(dead(others=(*counts, *OWN, *first_death()))).header == encode_header({"headers": OWN})


def test_other_headers_of_brokers_and_the_marker_stay() -> None:
    kept: Table = (
        ("x-received-from", Field("A", ())),
        ("x-deedbox-replay", Field("F", ())),
        ("x-death-toll", text("3")),
    )
    assert sent_back(dead(others=(*kept, *first_death()))).header == encode_header({"headers": kept})


@given(headers)
def test_any_other_header_keeps_its_bytes(properties: dict[str, object]) -> None:
    own: Table = properties.pop("headers", ())  # type: ignore[assignment]  # a table
    found = sent_back(dead(others=(*first_death(), *own), **properties))
    expected = encode_header({**properties, **({"headers": own} if own else {})})
    assert found.header == expected


@pytest.mark.parametrize(
    ("reason", "original", "expected"),
    [
        ("rejected", "60000", {"expiration": "60000"}),
        ("maxlen", "60000", {"expiration": "60000"}),
        ("delivery_limit", "0", {"expiration": "0"}),
        ("expired", "60000", {}),
        ("rejected", None, {}),
        ("rejected", "1" * 256, {}),
        ("rejected", "soon", {}),
        ("rejected", "٣", {}),
    ],
)
def test_the_expiration_comes_back_unless_it_was_the_cause(
    reason: str, original: str | None, expected: dict[str, object]
) -> None:
    header = dead(entry(reason=reason, expiration=original), others=first_death(reason=reason))
    assert sent_back(header).header == encode_header(expected)


def test_an_expiration_that_the_event_has_stays() -> None:
    """A client has published the dead letter again, with an expiration of its own."""
    header = dead(entry(expiration="60000"), others=first_death(), expiration="5")
    assert sent_back(header).header == encode_header({"expiration": "5"})


def test_a_cc_that_the_broker_removed_comes_back_as_the_last_header() -> None:
    header = dead(entry(keys=("order.new", "copy.1", "copy.2")), others=(*OWN, *first_death()))
    assert sent_back(header)[1:3] == ("order.new", encode_header({"headers": (*OWN, *CC)}))


def test_a_cc_that_is_there_stays_as_it_is() -> None:
    header = dead(entry(keys=("order.new", "copy.9")), others=(*CC, *first_death()))
    assert sent_back(header)[1:3] == ("order.new", encode_header({"headers": CC}))


def test_the_default_exchange_is_an_origin() -> None:
    assert sent_back(dead_once(exchange="", key="orders"))[:2] == ("", "orders")


def test_an_event_that_never_died_is_not_published() -> None:
    assert (
        to_origin(died(encode_header({"headers": OWN}))) == NOT_DEAD_LETTERED == Unpublishable("was not dead-lettered")
    )


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (dead(entry(keys=())), "its header x-death does not name the routing key of its first death"),
        (
            encode_header({"headers": first_death()}),
            "its header x-death does not name the routing key of its first death",
        ),
        (dead(Field("F", (("queue", text("q")),))), "its header x-death does not name the exchange of its first death"),
        (dead_once(key="k" * 256), "its routing key has 256 bytes, at most 255 are allowed"),
    ],
)
def test_an_origin_that_is_not_known_is_not_guessed(header: bytes, reason: str) -> None:
    assert to_origin(died(header)) == Unpublishable(reason)


def test_headers_of_the_command_line_are_set_after_all() -> None:
    route = origin_route(Overrides(headers=(("tenant", text("other")), ("try", Field("l", 2)))))
    found = route(died(dead(others=(*OWN, *first_death()))))
    header = encode_header({"headers": (OWN[1], ("tenant", text("other")), ("try", Field("l", 2)))})
    assert found == Outgoing("shop", "order.new", header, event(1).body)
    assert route(died(b"\0\0")) == NOT_DEAD_LETTERED
    assert origin_route(Overrides()) is to_origin


def test_a_name_that_is_not_utf_8_is_kept() -> None:
    keys = Field("A", (Field("S", b"k\xff"), Field("S", b"c\xfe")))
    table = Field("F", (("queue", text("q")), ("exchange", Field("S", b"x\xff")), ("routing-keys", keys)))
    found = sent_back(dead(table))
    assert (found.exchange, found.routing_key) == ("x\udcff", "k\udcff")
    assert [pair.field.value[5:] for pair in headers_in(found.header)] == [b"c\xfe"]
