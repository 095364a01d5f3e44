import pytest

from consumer.archive.reading.duplicates import DuplicateMode, Duplicates
from tests.support.archive_logs import event

PLAIN = event(1)
MARKED = event(1)._replace(duplicate="one-00000001:0")


@pytest.mark.parametrize(
    ("mode", "shown", "hidden"),
    [
        (DuplicateMode.HIDE, [PLAIN, PLAIN], 1),
        (DuplicateMode.SHOW, [PLAIN, MARKED, PLAIN], 0),
        (DuplicateMode.ONLY, [MARKED], 0),
    ],
)
def test_marked_events_are_hidden_and_counted_or_shown(mode: DuplicateMode, shown: list[object], hidden: int) -> None:
    duplicates = Duplicates(mode)
    assert [one for one in (PLAIN, MARKED, PLAIN) if duplicates.shows(one)] == shown
    assert duplicates.hidden == hidden
    several = Duplicates(mode)
    assert [one for _, one in several.shown([(0, PLAIN), (1, MARKED), (2, PLAIN)])] == shown
    assert several.hidden == hidden
    assert list(several.shown([(0, PLAIN)])) == ([] if mode is DuplicateMode.ONLY else [(0, PLAIN)])


def test_without_hidden_events_there_is_no_report() -> None:
    duplicates = Duplicates()
    assert duplicates.report() == ""
    duplicates.shows(MARKED)
    assert duplicates.report() == "1 event hidden, which is marked as a duplicate; --duplicates show prints it"
    duplicates.shows(MARKED)
    assert duplicates.report() == "2 events hidden, which are marked as duplicates; --duplicates show prints them"
