import pytest

from consumer.ingest.presets.names import Preset, is_function, name_faults


def test_presets_and_functions_are_accepted() -> None:
    assert list(name_faults([*Preset, "shop.events:describe"])) == []


@pytest.mark.parametrize(
    ("name", "near"), [("opnstack", "openstack"), ("broker_events", "broker-events"), ("Otel", "otel")]
)
def test_an_unknown_name_suggests_the_nearest(name: str, near: str) -> None:
    (fault,) = name_faults([name])
    assert fault.startswith(f"unknown name {name!r}, expected amqp, openstack, ")
    assert fault.endswith(f"; did you mean '{near}'?")


def test_a_name_that_resembles_none_suggests_none() -> None:
    (fault,) = name_faults(["zzz"])
    assert "did you mean" not in fault


@pytest.mark.parametrize("name", ["", ":", "module:", ":function", "a b:c", "a:b:c", "1a:b", "a/b:c"])
def test_what_is_no_name_of_a_function_is_a_fault(name: str) -> None:
    assert not is_function(name)
    assert list(name_faults([name])) != []


def test_no_name_and_a_repeated_name_are_faults() -> None:
    assert list(name_faults([])) == ["expected at least one name; 'amqp' is the default"]
    assert list(name_faults(["otel", "celery", "otel"])) == ["'otel' is there more than once"]
