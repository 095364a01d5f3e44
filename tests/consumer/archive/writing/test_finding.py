from pathlib import Path

import pytest

from codec.gap import Gap, GapKind
from consumer import log
from consumer.archive.writing.finding import Abandoned, Finding, Outcome, log_finding, log_lost_events

PATH = Path("one-00000001.kvp.zst.open")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    lines: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: lines.append((event.name, fields)))
    return lines


def test_a_recovered_archive_is_logged_with_its_torn_bytes_and_its_gaps(lines: list) -> None:
    gaps = [Gap(0, 5, GapKind.DAMAGED, "why"), Gap(9, 7, GapKind.TORN, "why")]
    log_finding(Finding(PATH, Outcome.SEALED, 3, gaps, lost=gaps[:1]))
    fields = {"path": str(PATH), "outcome": "sealed", "events": 3, "torn_bytes": 7, "gaps": 1, "sealed": ""}
    assert lines == [("recovered", fields)]
    assert type(lines[0][1]["outcome"]) is str


def test_a_deferred_archive_is_logged_with_the_reason_and_a_held_one_is_not(lines: list) -> None:
    log_finding(Finding(PATH, Outcome.DEFERRED, reason="full"))
    log_finding(Finding(PATH, Outcome.HELD))
    assert lines == [("recovery_deferred", {"path": str(PATH), "reason": "full"})]


def test_committed_events_that_are_missing_are_logged(lines: list) -> None:
    log_lost_events(Abandoned(PATH, events=5), Finding(PATH, Outcome.SEALED, 3))
    log_lost_events(Abandoned(PATH, events=5), Finding(PATH, Outcome.SEALED, 5))
    assert lines == [("events_lost", {"archive": "one-00000001", "path": str(PATH), "events": 2})]
