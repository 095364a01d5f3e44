from pathlib import Path

import pytest

from consumer.archive.rewriting.compact import compact
from consumer.disk.durable import Disk
from consumer.errors import Fatal
from consumer.query.named import EventName, NamedEvents, Visibility, delete, find_named, undelete
from tests.support.archive_logs import archive_log, event, some

NOW = "2026-11-21T16:15:00.000000Z"


def named(directory: Path, text: str, which: Visibility = Visibility.SHOWN) -> list[NamedEvents]:
    faults: list[str] = []
    found = list(find_named([directory], EventName.parse(text), which, faults))
    assert faults == []
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    one = archive_log(tmp_path)
    for at in range(0, 20, 5):
        one.append(some(at, 5))
        if at == 10:
            one.roll("test")
    return tmp_path


def test_a_text_that_has_the_form_of_a_position_is_no_id(tmp_path: Path) -> None:
    archive_log(tmp_path).append([event(0), event(1)._replace(id="one-00000001:0")])
    (named_events,) = named(tmp_path, "one-00000001:0")
    assert [(position, found.id) for position, found in named_events.positions()] == [("one-00000001:0", "id-0")]


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(Fatal, match="empty id"):
        EventName.parse("")


def test_a_position_leads_to_its_event_in_every_batch(directory: Path) -> None:
    for number in range(15):
        (named_events,) = named(directory, f"one-00000001:{number}")
        assert [found.id for found in named_events.events.values()] == [f"id-{number}"]
    assert named(directory, "one-00000002:5") == []


def test_an_event_that_is_compacted_before_undelete_is_not_shown_again(directory: Path) -> None:
    (named_events,) = named(directory, "id-3", Visibility.KEPT)
    assert delete(Disk(), named_events, NOW) == 1
    (deleted,) = named(directory, "id-3", Visibility.DELETED)
    assert [done.outcome for done in compact(Disk(), [directory])] == ["compacted"]
    assert undelete(Disk(), deleted) == 0
    assert next(iter(directory.rglob("*.deleted"))).read_bytes() != b""
