import pytest

from codec.counted import counted


@pytest.mark.parametrize(("count", "text"), [(0, "0 archives"), (1, "1 archive"), (2, "2 archives")])
def test_a_noun_is_in_the_singular_for_one(count: int, text: str) -> None:
    assert counted(count, "archive") == text


def test_a_noun_may_have_a_plural_that_is_not_regular() -> None:
    assert [counted(count, "batch", "batches") for count in (1, 2)] == ["1 batch", "2 batches"]
