import orjson
import pytest

from codec.amqp import Field, encode_header
from consumer.errors import DeedboxError, Fatal
from consumer.query.query import make_query
from consumer.query.where import parse_header
from tests.support.archive_logs import START_US, event

ONE = event(1)._replace(tags=("a", "b"), exchange="nova", routing_key="notifications.info")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"since_us": ONE.time_us, "until_us": ONE.time_us},
        {"ids": ["id-0", "id-1"]},
        {"types": ["type.*"]},
        {"types": ["!other.*"]},
        {"tags": ["a"]},
        {"tags": ["b", "a"]},
        {"source": ("no*", None)},
        {"source": (None, "notifications.*")},
        {"source": (None, "notifications.info.#")},
        {"match": r'"serial":\s*1'},
        {"match": "x{20}", "where": ["serial=1"]},
    ],
)
def test_events_that_fulfil_the_conditions_are_accepted(asked: dict) -> None:
    assert make_query(**asked).accepts(ONE)


@pytest.mark.parametrize(
    "asked",
    [
        {"since_us": ONE.time_us + 1},
        {"until_us": ONE.time_us - 1},
        {"ids": ["id-11"]},
        {"types": ["other.*"]},
        {"types": ["type.*", "!*.1"]},
        {"tags": ["a", "c"]},
        {"source": ("cinder", None)},
        {"source": (None, "*.error")},
        {"source": (None, "notifications")},
        {"match": "serial$"},
        {"where": ["serial=2"]},
    ],
)
def test_events_that_do_not_fulfil_a_condition_are_rejected(asked: dict) -> None:
    assert not make_query(**asked).accepts(ONE)


def test_zero_is_a_time_like_any_other() -> None:
    """Theia treated an end of 0 as open in one place and as 0 in another."""
    assert not make_query(until_us=0).accepts(ONE)
    assert make_query(until_us=0).accepts(ONE._replace(time_us=0))


@pytest.mark.parametrize("inner", [False, True])
def test_integers_of_more_than_64_bits_are_compared_exactly(inner: bool) -> None:
    """They became floats: the next number was equal too. Only a condition of such a number has them read exactly."""
    number = (1 << 64) + 1
    body = b'{"n":%d}' % number
    if inner:
        body = orjson.dumps({"oslo.message": body.decode()})
    found = ONE._replace(body=body)
    assert [make_query(where=[f"n={number + more}"]).accepts(found) for more in (-1, 0, 1)] == [False, True, False]
    assert make_query(where=["n>5"]).accepts(found)


@pytest.mark.parametrize(
    ("since", "until", "accepted"),
    [
        (None, None, True),
        (5, None, True),
        (6, None, False),
        (None, 5, True),
        (None, 4, False),
        (5, 5, True),
        (0, 4, False),
    ],
)
def test_the_arrival_of_each_event_is_compared(since: int | None, until: int | None, accepted: bool) -> None:
    """A batch may hold events of an arrival that is wanted, and others."""
    assert make_query().arriving(since, until).accepts(ONE._replace(arrived_us=5)) is accepted


def test_an_event_without_tags_has_none() -> None:
    """Theia read no tags back as one that is empty, and split one with a comma."""
    assert not make_query(tags=[""]).accepts(event(1))
    assert make_query(tags=["a,b"]).accepts(event(1)._replace(tags=("a,b",)))


def test_an_expression_is_searched_for_anywhere() -> None:
    """Theia anchored it in one store, searched in another and matched all of it in the third."""
    assert make_query(match="text").accepts(ONE)
    assert not make_query(match="^text").accepts(ONE)


def test_an_expression_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.query.query.MATCH_S_MAX", 0.05)
    query = make_query(match=r"(x+x+)+(?=y)\1z")
    with pytest.raises(DeedboxError, match="takes more than"):
        query.accepts(event(1, size=5000))


def test_bodies_that_are_not_text_are_searched_too() -> None:
    assert make_query(match="end").accepts(event(1)._replace(body=b"\xff\xfe end"))


def test_an_invalid_expression_is_an_error() -> None:
    with pytest.raises(Fatal, match="no regular expression"):
        make_query(match="(")


def test_times_of_the_query_are_those_of_the_events() -> None:
    assert make_query(since_us=START_US).wanted.within(START_US - 5, START_US)


def test_a_range_that_ends_before_it_begins_is_an_error() -> None:
    """`--since 1h --until 2h` found nothing, in silence."""
    with pytest.raises(Fatal, match="no event can be between"):
        make_query(since_us=START_US + 1, until_us=START_US)
    with pytest.raises(Fatal, match=r"arrived since 2025.* is after arrived until"):
        make_query().arriving(START_US + 1, START_US)
    make_query(since_us=START_US, until_us=START_US).arriving(START_US, START_US)


def test_headers_and_properties_are_searched() -> None:
    header = encode_header({"headers": (("retries", Field("I", 3)),), "app_id": "nova"})
    one = ONE._replace(header=header)
    assert make_query(where=["headers.retries>=3", "properties.app_id=nova"]).accepts(one)
    assert make_query(where=[parse_header("retries>=3")]).accepts(one)
    assert not make_query(where=["headers.retries>=3"]).accepts(ONE)
    assert not make_query(where=["headers.retries>=3"]).accepts(ONE._replace(header=b"\xff"))
