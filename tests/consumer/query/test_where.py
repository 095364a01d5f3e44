import json

import pytest

from consumer.errors import Fatal
from consumer.query.where import loads, parse_condition, parse_header

BODY = {
    "event_type": "compute.instance.create", "timestamp": "2026-11-20 00:00:00.5",
    "payload": {"tenant_id": "0123", "memory_mb": 15360, "share": 0.1, "on": True, "none": None, "big": 12345678901234567890,
                "disks": [{"gb": 5}, {"gb": 10}], "org.os": "debian"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("event_type=compute.instance.create", True),
        ("payload.memory_mb=15360", True),
        ("payload.memory_mb=15360.0", True),
        ("payload.memory_mb>9999", True),
        ("payload.memory_mb<9999", False),
        ("payload.share=0.1", True),
        ("payload.big=12345678901234567890", True),
        ("payload.big>12345678901234567889", True),
        ("payload.tenant_id=0123", True),
        ("payload.tenant_id=123", False),
        ("payload.tenant_id!=123", True),
        ("payload.on=true", True),
        ("payload.on=1", False),
        ("payload.none=null", True),
        ("payload.disks.1.gb>=10", True),
        ("payload.disks.2.gb>=10", False),
        ("payload.org.os=debian", True),
        ("timestamp<2026-11-20T00:00:00.500001Z", True),
        ("timestamp=2026-11-20T01:00:00.5+01:00", True),
        ("timestamp>2026-11-21", False),
        ("payload.missing=x", False),
        ("payload.missing!=x", True),
        ("payload=x", False),
        ("payload!=x", True),
        ("payload.memory_mb=text", False),
    ],
)
def test_fields_are_compared_by_their_type(condition: str, holds: bool) -> None:
    assert parse_condition(condition).holds(BODY) is holds


def test_fields_of_a_notification_in_an_oslo_envelope_are_found() -> None:
    envelope = {"oslo.version": "2.0", "oslo.message": '{"payload":{"n":7}}'}
    assert parse_condition("payload.n=7").holds(envelope)
    assert parse_condition("oslo.version=2.0").holds(envelope)


@pytest.mark.parametrize("body", [b"", b"text", b"\xff", b"[1]", b"7"])
def test_a_body_that_is_no_object_has_no_fields(body: bytes) -> None:
    assert not parse_condition("a=1").holds(loads(body))
    assert parse_condition("a!=1").holds(loads(body))


@pytest.mark.parametrize("text", ["", "a", "=1", "a b", " = 1"])
def test_a_text_that_is_no_condition_is_an_error(text: str) -> None:
    with pytest.raises(Fatal, match="is no condition"):
        parse_condition(text)


def test_an_index_is_a_plain_number() -> None:
    for path in ("²", "9" * 5000):
        assert not parse_condition(f"{path}=1").holds([1, 2, 3])


def test_a_value_may_contain_operators() -> None:
    assert parse_condition("a=b=c").holds({"a": "b=c"})
    assert parse_condition("a >= 2").holds({"a": 2})


@pytest.mark.parametrize("text", ["a=~b", "a>>5", "a==1", "a=>1", "a<>1", "a !~ b", "a~=b", "a===b"])
def test_an_unknown_operator_is_an_error(text: str) -> None:
    """`a=~b` was compared with the text `~b`, and `a>>5` with `>5`: the answer was empty."""
    with pytest.raises(Fatal, match="has the operator"):
        parse_condition(text)


@pytest.mark.parametrize("text", [".n=5", ".=1", ". = 1"])
def test_a_field_that_begins_with_a_dot_is_an_error(text: str) -> None:
    """As other tools write it; the answer was empty."""
    with pytest.raises(Fatal, match="begins with a dot"):
        parse_condition(text)
    assert parse_condition("body..n=5").holds({".n": 5})


def test_an_id_that_looks_like_a_huge_number_is_compared() -> None:
    condition = parse_condition("payload.short=9e1234567")
    assert condition.reads_long_numbers
    assert condition.holds({"payload": {"short": "9e1234567"}})
    assert not condition.holds({"payload": {"short": 9}})


def test_a_value_after_a_space_may_begin_with_an_operator() -> None:
    assert parse_condition("a= ~b").holds({"a": "~b"})
    assert parse_condition("a~b=1").holds({"a~b": 1})


DELIVERY = {
    "headers": {"retries": 3, "x.trace": "abc", "x-death": [{"queue": "q"}]},
    "properties": {"app_id": "nova", "delivery_mode": 2},
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("headers.retries>=3", True),
        ("headers.retries>3", False),
        ("headers.x.trace=abc", True),
        ("headers.x-death.0.queue=q", True),
        ("headers.missing=3", False),
        ("headers.missing!=3", True),
        ("headers.inner=body", True),
        ("properties.app_id=nova", True),
        ("properties.delivery_mode=2", True),
        ("properties.message_id=x", False),
        ("body.headers.retries=9", True),
        ("body.headers.inner=body", True),
        ("body.n=7", True),
        ("n=7", True),
    ],
)
def test_conditions_reach_headers_properties_and_the_body(condition: str, holds: bool) -> None:
    body = {"n": 7, "headers": {"retries": 9, "inner": "body"}}
    assert parse_condition(condition).holds(body, DELIVERY) is holds


def test_a_header_is_looked_for_among_the_headers_only() -> None:
    assert parse_header("retries>=3").holds(None, DELIVERY)
    assert parse_header("x.trace=abc").holds(None, DELIVERY)
    assert not parse_header("inner=body").holds({"headers": {"inner": "body"}}, DELIVERY)
    with pytest.raises(Fatal, match="is no condition"):
        parse_header("retries")


@pytest.mark.parametrize("text", ["headers=3", "properties!=3", "headers.=3", "properties.size>=1"])
def test_unknown_headers_and_properties_are_an_error(text: str) -> None:
    with pytest.raises(Fatal, match=r"names none of|AMQP has no property"):
        parse_condition(text)


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        ({"name": "half \ud800", "n": 7}, "n=7"),
        ({"share": float("nan"), "n": 7}, "n>=7"),
        ({"share": float("nan")}, "share=NaN"),
        ({"share": float("-inf")}, "share<0"),
        ({"n": 2**64 + 1}, f"n={2**64 + 1}"),
        ({"n": -(2**70) - 1}, f"n={-(2**70) - 1}"),
        ({"n": 10**30 + 1}, f"n>{10**30}"),
        ({"oslo.message": json.dumps({"n": 2**80})}, f"n={2**80}"),
    ],
)
def test_json_that_only_python_writes_is_read(value: object, condition: str) -> None:
    """Bodies with lone surrogates or NaN had no fields, and integers of more than 64 bits were rounded."""
    assert parse_condition(condition).holds(loads(json.dumps(value).encode()))


def test_integers_of_more_than_64_bits_are_exact() -> None:
    body = loads(b'{"n":18446744073709551617,"long":%s}' % (b"9" * 5000))
    assert not parse_condition("n=18446744073709551616").holds(body)
    assert not parse_condition("n=18446744073709551616.0").holds(body)
    assert parse_condition("n<=18446744073709551617").holds(body)
    assert parse_condition(f"long={'9' * 5000}").holds(body)
    assert not parse_condition(f"long={'9' * 4999}8").holds(body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"n":9999999999999999999', b"\xff9999999999999999999", b"\xed\xa0"])
def test_a_body_that_no_parser_reads_is_none(body: bytes) -> None:
    assert loads(body) is None


@pytest.mark.parametrize("value", ["abc", "", "nan", "10MB", "2026-13-45", "1,5"])
@pytest.mark.parametrize("sign", ["<", "<=", ">", ">="])
def test_an_order_comparison_without_a_number_or_time_is_an_error(sign: str, value: str) -> None:
    """`payload.size>=abc` was never true, and the answer was empty."""
    with pytest.raises(Fatal, match=r"is no number and no time; with .* write a number or an ISO 8601 time"):
        parse_condition(f"payload.size{sign}{value}")
    with pytest.raises(Fatal, match="is no number and no time"):
        parse_header(f"size{sign}{value}")


@pytest.mark.parametrize("value", ["-1.5e3", "inf", "2026", "2026-11-21", "2026-11-21 16:15", "2026-11-21T16:15:00.5Z"])
def test_numbers_and_times_have_an_order(value: str) -> None:
    assert parse_condition(f"a>={value}").value == value
    assert parse_condition("a=abc").holds({"a": "abc"})


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("properties.timestamp>=2026-11-28T16:00:00Z", True),
        ("properties.timestamp>2026-11-28T16:00:00Z", False),
        ("properties.timestamp=2026-11-28 17:00:00+01:00", True),
        ("properties.timestamp!=2026-11-28T16:00:00Z", False),
        ("properties.timestamp>=2026-11-28", True),
        ("properties.timestamp<2026-11-28", False),
        ("properties.timestamp=1795881600", True),
        ("properties.timestamp>1795881600", False),
    ],
)
def test_the_timestamp_of_a_message_is_compared_with_a_time(condition: str, holds: bool) -> None:
    """It is a number in AMQP, and a comparison with a time was never true."""
    delivery: dict[str, object] = {"properties": {"timestamp": 1_795_881_600}, "headers": {}}
    assert parse_condition(condition).holds({}, delivery) is holds


def test_a_timestamp_outside_of_the_calendar_is_after_no_time() -> None:
    delivery: dict[str, object] = {"properties": {"timestamp": (1 << 64) - 1}, "headers": {}}
    assert not parse_condition("properties.timestamp>=2026-11-28").holds({}, delivery)
