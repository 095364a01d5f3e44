import pytest

from consumer.archive.counted import counted, outcome


@pytest.mark.parametrize(("count", "text"), [(0, "0 archives"), (1, "1 archive"), (2, "2 archives")])
def test_a_noun_is_in_the_singular_for_one(count: int, text: str) -> None:
    assert counted(count, "archive") == text


def test_a_noun_may_have_a_plural_that_is_not_regular() -> None:
    assert [counted(count, "batch", "batches") for count in (1, 2)] == ["1 batch", "2 batches"]


@pytest.mark.parametrize(
    ("count", "failed", "text"),
    [(0, False, "nothing to do"), (2, False, "done"), (2, True, "not everything could be repaired")],
)
def test_the_last_line_reports_whether_there_was_something_to_do(count: int, failed: bool, text: str) -> None:
    """Each command reported that there is nothing else to do, also after a failure, and if it had done nothing."""
    assert outcome(count, failed, "repaired") == text
