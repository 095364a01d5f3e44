import pytest

from consumer.archive.counted import counted


@pytest.mark.parametrize(("count", "text"), [(0, "0 archives"), (1, "1 archive"), (2, "2 archives")])
def test_one_thing_is_not_several(count: int, text: str) -> None:
    assert counted(count, "archive") == text
