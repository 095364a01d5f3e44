import pytest

from consumer.errors import Fatal
from consumer.query.where import loads, parse_condition

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
def test_fields_are_compared_as_what_they_are(condition: str, holds: bool) -> None:
    assert parse_condition(condition).holds(BODY) is holds


def test_the_oslo_envelope_is_looked_into() -> None:
    envelope = {"oslo.version": "2.0", "oslo.message": '{"payload":{"n":7}}'}
    assert parse_condition("payload.n=7").holds(envelope)
    assert parse_condition("oslo.version=2.0").holds(envelope)


@pytest.mark.parametrize("body", [b"", b"text", b"\xff", b"[1]", b"7"])
def test_a_body_that_is_no_object_has_no_fields(body: bytes) -> None:
    assert not parse_condition("a=1").holds(loads(body))
    assert parse_condition("a!=1").holds(loads(body))


@pytest.mark.parametrize("text", ["", "a", "=1", "a b", "a==1", "a=>1"])
def test_what_is_no_condition_is_said(text: str) -> None:
    with pytest.raises(Fatal, match="is no condition"):
        parse_condition(text)


def test_an_index_is_a_plain_number() -> None:
    for path in ("²", "9" * 5000):
        assert not parse_condition(f"{path}=1").holds([1, 2, 3])


def test_a_value_may_hold_signs() -> None:
    assert parse_condition("a=b=c").holds({"a": "b=c"})
    assert parse_condition("a >= 2").holds({"a": 2})
