import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.config.quantities import format_quantity, parse_quantity
from consumer.section import Unit


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("128MiB", Unit.BYTES, 128 << 20),
        ("64KiB", Unit.BYTES, 64 << 10),
        ("64 KiB", Unit.BYTES, 64 << 10),
        ("1.5GiB", Unit.BYTES, 3 << 29),
        ("2TiB", Unit.BYTES, 2 << 40),
        ("10kB", Unit.BYTES, 10_000),
        ("1MB", Unit.BYTES, 10**6),
        ("7B", Unit.BYTES, 7),
        ("1h", Unit.SECONDS, 3600),
        ("90s", Unit.SECONDS, 90),
        ("5ms", Unit.SECONDS, 0.005),
        ("250us", Unit.SECONDS, 0.00025),
        (" 1.5m ", Unit.SECONDS, 90),
        ("2d", Unit.SECONDS, 172_800),
    ],
)
def test_a_number_with_a_unit_is_a_number_of_bytes_or_seconds(text: str, unit: Unit, number: float) -> None:
    assert parse_quantity(text, unit) == number


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize(
    "text", ["", "MiB", "5", "-5s", "5 parsecs", "5M", "5mib", "1h30m", "1e3s", "٣s", "5S", "1,5s"]
)
def test_another_text_is_an_error_that_names_the_units(text: str, unit: Unit) -> None:
    with pytest.raises(ValueError, match=rf"expected a number of {unit.value}, such as .* \(units: .*\)"):
        parse_quantity(text, unit)


def test_a_part_of_a_byte_is_an_error() -> None:
    with pytest.raises(ValueError, match="a whole number of bytes"):
        parse_quantity("0.3B", Unit.BYTES)


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (128 << 20, Unit.BYTES, "128MiB"),
        (1025, Unit.BYTES, None),
        (0, Unit.BYTES, None),
        (3600.0, Unit.SECONDS, "1h"),
        (90, Unit.SECONDS, "90s"),
        (0.005, Unit.SECONDS, "5ms"),
        (1.5, Unit.SECONDS, "1500ms"),
        (1e-9, Unit.SECONDS, None),
        (0.0, Unit.SECONDS, None),
        (float("inf"), Unit.SECONDS, None),
    ],
)
def test_a_number_is_shown_in_the_largest_unit_in_which_it_is_whole(
    number: float, unit: Unit, text: str | None
) -> None:
    assert format_quantity(number, unit) == text


@given(st.integers(0, 1 << 62) | st.integers(0, 1 << 20).map(lambda number: number << 20))
def test_a_size_that_was_formatted_is_parsed_to_the_same_number(number: int) -> None:
    text = format_quantity(number, Unit.BYTES)
    assert text is None or parse_quantity(text, Unit.BYTES) == number


@given(st.floats(0, 1e9) | st.integers(0, 10**9).map(lambda number: number / 1000) | st.integers(0, 10**9))
def test_a_duration_that_was_formatted_is_parsed_to_the_same_number(number: float) -> None:
    text = format_quantity(number, Unit.SECONDS)
    assert text is None or parse_quantity(text, Unit.SECONDS) == number


@given(st.text(max_size=12), st.sampled_from(Unit))
def test_any_text_is_a_number_or_an_error(text: str, unit: Unit) -> None:
    try:
        number = parse_quantity(text, unit)
    except ValueError:
        return
    assert number >= 0
