import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import Corrupt
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
    "text", ["", "a1", "a1-7:0", "a1-00000007", "a1-00000007:", "a1-00000007:-1", "a1-00000007:1:2", "-00000007:1", "a1-00000007:\N{FULLWIDTH DIGIT ONE}", "a/b-00000007:1", "a1-00000007:1\n"],
)  # fmt: skip
def test_a_text_that_is_no_position_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Corrupt, match="expected INSTANCE-SEQUENCE:EVENT such as 'a1-00000007:41'"):
        Position.parse(text)
