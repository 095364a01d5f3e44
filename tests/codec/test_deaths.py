import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.amqp import Field, Table, encode_header, encode_table
from codec.deaths import FIRST_DEATH, LAST_DEATH, X_DEATH, Death, Deaths, deaths_of
from tests.codec.strategies import leaves, tables
from tests.codec.test_amqp import FIELDS
from tests.support.dead_letters import dead, dead_once, entry, first_death, last_death, text
from tests.support.messages import nested

ORDERS = Death("orders", "rejected", "shop", ("order.new",), 1, 1_764_000_000)


def test_a_message_that_died_once_died_first_and_last_in_the_same_place() -> None:
    assert deaths_of(dead_once()) == Deaths(ORDERS, ORDERS)


def test_a_message_that_never_died_has_no_deaths() -> None:
    for header in (b"\x00\x00", encode_header({}), encode_header({"headers": (("x-death-toll", Field("I", 3)),)})):
        assert deaths_of(header) is None


def test_all_fields_of_a_death_are_read() -> None:
    header = dead(
        entry("q", "expired", "", ("k", "cc.1", "cc.2"), 7, 5, "60000"), others=first_death("q", "expired", "")
    )
    assert deaths_of(header) == Deaths(*[Death("q", "expired", "", ("k", "cc.1", "cc.2"), 7, 5, "60000")] * 2)


def test_the_order_of_rabbitmq_3_10_does_not_hide_the_first_death() -> None:
    """A real message: it died in c1, then in c2, then in c3. The broker had reversed the first two, within one second."""
    header = dead(
        entry("c3", "rejected", "d2", ("c",), time_s=1001), entry("c1", "rejected", "x", ("c",), time_s=1000),
        entry("c2", "expired", "d1", ("c",), time_s=1000), others=first_death("c1", "rejected", "x"),
    )  # fmt: skip
    assert deaths_of(header) == Deaths(
        Death("c1", "rejected", "x", ("c",), 1, 1000), Death("c3", "rejected", "d2", ("c",), 1, 1001)
    )


def test_a_message_that_died_again_where_it_died_first() -> None:
    """The broker moves the table to the front and counts; the other fields stay those of the first death."""
    again, between = entry(count=2, time_s=10), entry("retry", "expired", "dlx", time_s=20)
    header = dead(again, between, others=(*first_death(), *last_death()))
    found = deaths_of(header)
    assert found is not None
    assert found.first == found.last == Death("orders", "rejected", "shop", ("order.new",), 2, 10)


def test_headers_of_rabbitmq_4_in_their_order() -> None:
    """All headers are sorted by name there."""
    headers = (
        ("x-death", Field("A", (entry("retry", "expired", "dlx", time_s=20), entry()))),
        *first_death(), *last_death("retry", "expired", "dlx"),
    )  # fmt: skip
    assert deaths_of(encode_header({"headers": headers})) == Deaths(
        ORDERS, Death("retry", "expired", "dlx", ("order.new",), 1, 20)
    )


@pytest.mark.parametrize(
    ("entries", "queue"),
    [
        ([entry("late", time_s=20), entry("early", time_s=10)], "early"),
        ([entry("late", time_s=20), entry("early", time_s=10), entry("middle", time_s=15)], "early"),
        ([entry("newer", time_s=10), entry("older", time_s=10)], "older"),
    ],
)
def test_without_x_first_death_the_earliest_table_counts(entries: list[Field], queue: str) -> None:
    """Brokers before 3.7 wrote no `x-first-death-*`."""
    found = deaths_of(dead(*entries))
    assert found is not None
    assert (found.first.queue, found.last) == (
        queue,
        Death("late" if len(entries) == 3 else found.last.queue, *rest(found.last)),
    )


def rest(death: Death) -> tuple[str | None, str | None, tuple[str, ...], int | None, int | None, str | None]:
    return death.reason, death.exchange, death.routing_keys, death.count, death.time_s, death.original_expiration


def test_a_table_without_a_time_is_not_the_earliest() -> None:
    untimed = Field("F", (("queue", text("q")),))
    found = deaths_of(dead(untimed, entry("timed"), untimed))
    assert found is not None
    assert found.first.queue == "timed"


def test_without_the_table_of_the_first_death_its_headers_count() -> None:
    """A client had published an `x-death` that was no array: RabbitMQ 3.10 replaced it, and kept `x-first-death-*`."""
    first = Death("orders", "rejected", "shop")
    assert deaths_of(dead(entry("retry"), others=first_death())) == Deaths(first, Death("retry", *rest(ORDERS)))
    assert deaths_of(encode_header({"headers": first_death()})) == Deaths(first, first)


def test_the_first_of_equal_names_counts() -> None:
    """As in the broker."""
    twice = (*first_death("one"), *first_death("two"), ("x-death", Field("A", (entry("one"),))))
    found = deaths_of(encode_header({"headers": (*twice, ("x-death", Field("A", (entry("two"),))))}))
    assert found is not None
    assert (found.first.queue, found.first.count, found.last.queue) == ("one", 1, "one")


def test_names_that_are_not_utf_8_are_kept() -> None:
    odd = Field("F", (("queue", Field("S", b"q\xff")), ("reason", text("rejected"))))
    found = deaths_of(dead(odd))
    assert found is not None
    assert found.first.queue == "q\udcff"


NAMES = [X_DEATH, *FIRST_DEATH, *LAST_DEATH]
INNER = ["queue", "reason", "exchange", "count", "time", "routing-keys", "original-expiration"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", [field for field, _ in FIELDS], ids=[field.kind for field, _ in FIELDS])
def test_a_header_of_any_type_is_no_error(name: str, field: Field) -> None:
    """A client may publish whatever it likes under these names. The other headers still count."""
    others = tuple((other, value) for other, value in (*first_death(), *last_death()) if other != name)
    found = deaths_of(encode_header({"headers": ((name, field), *others)}))
    assert found is not None


@pytest.mark.parametrize("name", INNER)
@pytest.mark.parametrize("field", [field for field, _ in FIELDS], ids=[field.kind for field, _ in FIELDS])
def test_a_member_of_any_type_is_left_out(name: str, field: Field) -> None:
    whole = entry(expiration="9")
    pairs = tuple((other, field if other == name else value) for other, value in whole.value)  # type: ignore[attr-defined]  # a table
    found = deaths_of(dead(Field("F", pairs), others=first_death()))
    assert found is not None
    values = {
        "queue": found.last.queue, "reason": found.last.reason, "exchange": found.last.exchange, "count": found.last.count,
        "time": found.last.time_s, "routing-keys": found.last.routing_keys, "original-expiration": found.last.original_expiration,
    }  # fmt: skip
    changed = values.pop(name)
    if name in ("count", "time"):
        assert changed is None or isinstance(changed, int)
    else:
        assert changed == (() if name == "routing-keys" else "ab" if field.kind == "S" else None)
    complete = {"queue": "orders", "reason": "rejected", "exchange": "shop", "count": 1, "time": 1_764_000_000,
                "routing-keys": ("order.new",), "original-expiration": "9"}  # fmt: skip
    assert values == {other: value for other, value in complete.items() if other != name}


@pytest.mark.parametrize("kind", list("bBsuIilT"))
def test_a_count_of_any_integer_type_is_read(kind: str) -> None:
    found = deaths_of(dead(Field("F", (("queue", text("q")), ("count", Field(kind, 100))))))
    assert found is not None
    assert found.first.count == 100


def test_elements_that_are_no_tables_are_passed_over() -> None:
    table = encode_table((("queue", text("inner")),))[4:]
    array = Field(
        "A", (text("x"), Field("S", table), Field("V", None), Field("F", ()), Field("A", (entry("inner"),)), entry())
    )
    found = deaths_of(encode_header({"headers": ((X_DEATH, array),)}))
    assert found == Deaths(ORDERS, ORDERS)


def test_a_damaged_table_keeps_what_comes_before_and_after_it() -> None:
    """The lengths of the tables are right, and one holds a field of no known type."""
    damaged = b"F" + (11).to_bytes(4, "big") + b"\x05queueQabcd"
    whole = encode_header({"headers": (("x", Field("A", (entry(),))),)})[2 + 4 + 2 + 5 :]
    array = b"\x07x-deathA" + len(damaged + whole).to_bytes(4, "big") + damaged + whole
    found = deaths_of(b"\x20\x00" + len(array).to_bytes(4, "big") + array)
    assert found == Deaths(ORDERS, ORDERS)


def test_deep_tables_around_and_within_a_death_are_no_error() -> None:
    """`decode_header` refuses such depths."""
    inner = b"\x01x" + b"F" + (0).to_bytes(4, "big")
    for _ in range(3000):
        inner = b"\x01x" + b"F" + len(inner).to_bytes(4, "big") + inner
    table = b"\x05queueS" + (1).to_bytes(4, "big") + b"q" + inner
    array = b"F" + len(table).to_bytes(4, "big") + table
    body = inner + b"\x07x-deathA" + len(array).to_bytes(4, "big") + array
    found = deaths_of(b"\x20\x00" + len(body).to_bytes(4, "big") + body)
    assert found == Deaths(Death("q"), Death("q"))
    assert deaths_of(dead(others=(("deep", Field("F", nested(50))),))) is not None


def test_a_header_cut_anywhere_is_no_error() -> None:
    header = dead(entry("a"), entry("b"), others=first_death("b"))
    assert {deaths_of(header[:cut]) for cut in range(len(header))} == {None}


@given(st.binary().map(lambda tail: b"\x20\x00" + tail + b"x-death") | st.binary().map(lambda raw: raw + b"-death"))
def test_any_bytes_are_no_error(raw: bytes) -> None:
    deaths_of(raw)


_hostile = st.one_of(leaves, tables.map(lambda table: Field("F", table)), st.just(entry()))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*NAMES, "x"]),
            _hostile | st.lists(_hostile, max_size=3).map(lambda found: Field("A", tuple(found))),
        ),
        max_size=6,
    )
)
def test_hostile_headers_are_no_error_and_have_texts(pairs: list[tuple[str, Field]]) -> None:
    table: Table = tuple(pairs)
    found = deaths_of(encode_header({"headers": table}))
    for death in found or ():
        assert death.queue is None or isinstance(death.queue, str)
        assert death.count is None or isinstance(death.count, int)
        assert all(isinstance(key, str) for key in death.routing_keys)


@given(st.binary(max_size=200))
def test_an_array_of_any_bytes_is_no_error(raw: bytes) -> None:
    """The array is whole; its elements are not."""
    array = b"\x07x-deathA" + len(raw).to_bytes(4, "big") + raw
    deaths_of(b"\x20\x00" + len(array).to_bytes(4, "big") + array)
