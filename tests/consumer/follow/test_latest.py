"""The newest events of archives in object storage."""

from pathlib import Path

import pytest

from consumer.follow.latest import Latest
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.query.query import make_query
from tests.support.archive_logs import archive_log, some
from tests.support.copied import copy_to
from tests.support.counting_store import counted


@pytest.fixture
def prefix(tmp_path: Path) -> ObjectUrl:
    """Thirty archives of 10 events in batches of 5, in the store of this process."""
    log = archive_log(tmp_path)
    for first in range(0, 300, 5):
        log.append(some(first, 5))
        if first % 10 == 5:
            log.roll("stop")
    prefix = ObjectUrl("memory", tmp_path.name, "archive")
    copy_to(tmp_path, prefix)
    return prefix


def test_the_newest_events_come_from_the_newest_batches(prefix: ObjectUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    store = counted(monkeypatch, prefix)
    latest = Latest([prefix])
    assert [one.event for one in latest.newest(4)] == some(296, 4)
    assert (latest.faults, latest.archives) == ([], 30)
    assert store.requests["list"] == 1
    assert store.requests["read"] < 20, "the names tell which archives are the newest"


def test_events_of_a_type_are_found_in_older_archives(prefix: ObjectUrl) -> None:
    latest = Latest([prefix], make_query(types=["type.2"]))
    assert [one.event.id for one in latest.newest(30)] == [f"id-{number}" for number in range(212, 300, 3)]


def test_copies_count_once(prefix: ObjectUrl, tmp_path: Path) -> None:
    assert [one.event for one in Latest([prefix, tmp_path]).newest(12)] == some(288, 12)


def test_what_cannot_be_read_is_a_fault(prefix: ObjectUrl, tmp_path: Path) -> None:
    foreign = prefix / "foreign"
    store_of(foreign).put(foreign, b"foreign", {})
    latest = Latest([foreign, tmp_path / "missing", prefix])
    assert [one.event for one in latest.newest(1)] == some(299, 1)
    assert [str(fault.path) for fault in latest.faults] == [str(foreign), str(tmp_path / "missing")]
