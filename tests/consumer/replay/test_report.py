"""What a replay reports."""

from consumer.amqp.outgoing import Outgoing
from consumer.replay.receipts import ArchiveHead
from consumer.replay.report import LISTED_MAX, Problem, Report
from consumer.replay.selection import Selected
from consumer.replay.target import Unpublishable

ARCHIVE = ArchiveHead("a1-00000007", "head")


def selected(number: int, message: Outgoing | Unpublishable | None = None) -> Selected:
    return Selected(ARCHIVE, number, 0, "archived", "key", message or Outgoing("sent", "other", b"\0\0", b"body"))


def test_what_was_not_published_is_listed_with_its_place_and_its_target() -> None:
    report = Report()
    report.note(selected(41), Problem.UNROUTABLE, "NO_ROUTE")
    report.note(selected(42, Unpublishable("too long")), Problem.UNPUBLISHABLE, "too long")
    assert report.problems == [
        "unroutable: a1-00000007:41: exchange 'sent', routing key 'other': NO_ROUTE",
        "not publishable: a1-00000007:42: exchange 'archived', routing key 'key': too long",
    ]
    assert report.more() == "not published: 2 events: 1 not publishable, 1 unroutable"


def test_the_list_is_bounded_and_the_rest_is_counted() -> None:
    report = Report()
    for number in range(LISTED_MAX + 5):
        report.note(selected(number), Problem.REFUSED, "no")
    assert len(report.problems) == LISTED_MAX
    assert report.more() == "not published: 1005 events: 1,005 refused; 5 of them are not listed"


def test_a_run_without_problems_has_a_rate_and_a_place() -> None:
    report = Report()
    assert (report.more(), report.place()) == ("", "no event was sent")
    report.confirm(selected(0))
    report.confirm(selected(1))
    report.last = selected(1)
    assert report.summary(0.5) == "published: 2 events, 8 bytes, in 0.5 s, 4 a second"
    assert report.place() == "the last event that was sent is a1-00000007:1 of 1970-01-01T00:00:00.000000Z"
