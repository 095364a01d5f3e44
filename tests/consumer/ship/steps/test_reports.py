from pathlib import Path

import pytest

from consumer import log
from consumer.archive.naming import ArchiveId
from consumer.ship.steps.reports import Reports
from tests.support.steps import Clock

Lines = list[tuple[str, dict[str, object]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    found: Lines = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: found.append((event.name, fields)))
    return found


def archive(number: int) -> ArchiveId:
    return ArchiveId("one", number)


def test_a_step_that_fails_for_a_thousand_archives_has_a_line_a_minute(lines: Lines) -> None:
    clock = Clock()
    reports = Reports(clock)
    for _ in range(3):
        for number in range(1000):
            reports.failed(archive(number), Path("/x"), "move /full", "No space left on device", 1.0)
        clock.now += 60
    counts = [fields["archives"] for _, fields in lines]
    assert counts == [1, 1000, 1000]
    assert reports.failing == 1000


def test_a_wait_is_logged_when_its_reason_is_new(lines: Lines) -> None:
    reports = Reports(Clock())
    for reason in ("held", "held", "newest", "held"):
        reports.waits(archive(1), "delete", reason)
    assert [fields["reason"] for _, fields in lines] == ["held", "newest", "held"]
    assert reports.waiting == 1


def test_what_is_done_does_not_fail_or_wait_any_more(lines: Lines) -> None:
    reports = Reports(Clock())
    reports.failed(archive(1), Path("/x"), "ship", "refused", 1.0)
    reports.waits(archive(2), "ship", "not yet")
    reports.done(archive(1), "ship", "/x")
    reports.done(archive(2), "ship", "/x")
    assert (reports.failing, reports.waiting) == (0, 0)
    assert [name for name, _ in lines] == ["step_failed", "step_waiting", "step_done", "step_done"]
