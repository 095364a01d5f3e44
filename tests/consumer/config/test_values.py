from enum import StrEnum
from typing import Annotated

import pytest
from msgspec import Meta

from consumer.config.sections import SETTINGS, Setting
from consumer.config.values import convert


@pytest.mark.parametrize(
    ("key", "value", "converted"),
    [
        ("batch.bytes", "1000", 1000),
        ("batch.bytes", "64KiB", 65_536),
        ("batch.bytes", 1000, 1000),
        ("roll.age_s", "1h", 3600.0),
        ("roll.age_s", "1.5", 1.5),
        ("roll.age_s", 7, 7.0),
        ("roll.age_s", "1e3", 1000.0),
        ("roll.bytes", "1e18", 10**18),  # was refused, unlike 1e3
        ("roll.bytes", "1.5e6", 1_500_000),
        ("batch.count", "  5 ", 5),  # was refused, unlike " 5s "
        ("roll.age_s", " 5 ", 5.0),
        ("roll.age_s", " 5s ", 5.0),
        ("roll.align_s", "1h", 3600),
        ("batch.linger_s", "5ms", 0.005),
        ("watch.from_start", "true", True),
        ("broker.binding_keys", "a.#, b.*", ("a.#", "b.*")),
        ("archive.describe", "openstack", ("openstack",)),
        ("archive.describe", "openstack, shop.events:describe", ("openstack", "shop.events:describe")),
        ("archive.describe", ["openstack", "otel"], ("openstack", "otel")),
        ("broker.queue_arguments", '{"x": 1}', {"x": 1}),
    ],
)
def test_a_value_is_converted_to_the_type_of_its_setting(key: str, value: object, converted: object) -> None:
    found = convert(SETTINGS[key], value)
    assert (found, type(found)) == (converted, type(converted))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("batch.count", "many", "batch.count: expected a whole number, found 'many'"),
        ("batch.count", 1.5, "batch.count: expected a whole number, found 1.5"),
        ("batch.count", "0", "batch.count: expected a whole number >= 1, found '0'"),
        ("batch.count", "1.5e0", "batch.count: expected a whole number, found '1.5e0'"),
        ("batch.bytes", "12parsecs", "batch.bytes: expected a number of bytes, such as 134217728 or 128MiB"),
        ("batch.bytes", "0B", "batch.bytes: expected a whole number >= 1, found '0B'"),
        ("batch.linger_s", "2m", "batch.linger_s: expected a number <= 60.0, found '2m'"),
        ("roll.age_s", "nan", "roll.age_s: expected a number"),
        ("roll.align_s", "1500ms", "roll.align_s: expected a whole number, found '1500ms'"),
        ("watch.from_start", "perhaps", "watch.from_start: expected true or false, found 'perhaps'"),
        ("broker.declare", "some", "broker.declare: expected 'queue' or 'all' or 'none', found 'some'"),
        ("broker.binding_keys", [1], "broker.binding_keys: expected text, found [1]"),
        ("broker.binding_keys", 1, "broker.binding_keys: expected a list of texts, found 1"),
        ("broker.queue_arguments", "[1]", "broker.queue_arguments: expected a JSON object such as"),
    ],
)
def test_an_error_names_the_setting_and_what_was_expected_and_found(key: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        convert(SETTINGS[key], value)
    assert str(raised.value).startswith(message)
    assert "`" not in str(raised.value)


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


def test_an_enumeration_is_accepted_by_its_values() -> None:
    setting = Setting("paint", "color", Annotated[Color, Meta(description="Color.")], "Color.", None)
    assert convert(setting, "red") is Color.RED
    with pytest.raises(ValueError, match=r"^paint\.color: expected 'red' or 'blue', found 'green'$"):
        convert(setting, "green")


def test_a_secret_is_not_in_the_error() -> None:
    with pytest.raises(ValueError, match="expected text") as raised:
        convert(SETTINGS["broker.password"], [1234])
    assert "1234" not in str(raised.value)
