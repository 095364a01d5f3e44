import pytest

from consumer.archive.outcome import outcome


@pytest.mark.parametrize(
    ("count", "failed", "text"),
    [(0, False, "nothing to do"), (2, False, "done"), (2, True, "not everything could be repaired")],
)
def test_the_last_line_reports_whether_there_was_something_to_do(count: int, failed: bool, text: str) -> None:
    """Each command reported that there is nothing else to do, also after a failure, and if it had done nothing."""
    assert outcome(count, failed, "repaired") == text
