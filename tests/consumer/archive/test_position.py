import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.archive.naming import ArchiveId
from consumer.archive.position import Position

instances = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
positions = st.builds(Position, instances, st.integers(0, 10**19 - 1), st.integers(0, 10**19 - 1))


@given(positions)
def test_the_text_of_a_position_is_read_back(position: Position) -> None:
    assert Position.parse(str(position)) == position


def test_the_text_form_is_that_of_the_design() -> None:
    assert str(Position("a1", 7, 41)) == "a1-00000007:41"
    assert Position("a1", 7, 41).archive == ArchiveId("a1", 7)


@given(instances, st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9))))
def test_positions_of_an_instance_are_in_the_order_of_its_events(instance: str, pairs: list[tuple[int, int]]) -> None:
    assert sorted(Position(instance, *pair) for pair in pairs) == [Position(instance, *pair) for pair in sorted(pairs)]


@pytest.mark.parametrize(
    "text", ["", "x", "a1", "a1-7:0", "a1-00000007", "a1-00000007:", "a1-00000007:-1", "a1-00000007:1:2", "-00000007:1", "a1-00000007:\N{FULLWIDTH DIGIT ONE}", "a/b-00000007:1", "a1-00000007:1\n"],
)  # fmt: skip
def test_a_text_that_is_no_position_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"^position .*, expected INSTANCE-SEQUENCE:EVENT such as 'a1-00000007:41'"):
        Position.parse(text)


@pytest.mark.parametrize("value", [None, 5, b"a1-00000007:41"])
def test_a_value_that_is_no_text_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match=r"position: expected a text, found .* of type"):
        Position.parse(value)  # type: ignore[arg-type]  # that is the fault


def test_more_zeros_before_a_number_change_nothing() -> None:
    assert Position.parse("a1-000000007:041") == Position("a1", 7, 41)
