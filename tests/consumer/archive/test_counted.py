import pytest

from consumer.archive.counted import counted, outcome


@pytest.mark.parametrize(("count", "text"), [(0, "0 archives"), (1, "1 archive"), (2, "2 archives")])
def test_one_thing_is_not_several(count: int, text: str) -> None:
    assert counted(count, "archive") == text


@pytest.mark.parametrize(
    ("count", "failed", "text"),
    [(0, False, "nothing to do"), (2, False, "done"), (2, True, "not everything could be repaired")],
)
def test_the_last_line_says_whether_there_was_something_to_do(count: int, failed: bool, text: str) -> None:
    """Each one said that there is nothing else to do, also after a failure, and where nothing had been done."""
    assert outcome(count, failed, "repaired") == text
