"""Archives in object storage, read through the same readers as local files."""

from pathlib import Path

import msgspec
import pytest

from codec.event import Event
from consumer.archive.checking.verify import verify
from consumer.archive.listing import find_archives
from consumer.archive.naming import ArchiveId
from consumer.archive.reading.catalog import Wanted, entries
from consumer.archive.reading.object_source import ObjectSource
from consumer.archive.reading.reader import open_archive, open_at
from consumer.archive.reading.tombstones import Tombstone, Tombstones
from consumer.errors import DeedboxError
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.query.named import EventName, Visibility, find_named
from consumer.query.search import Search
from tests.support.archive_logs import archive_log, some
from tests.support.counting_store import counted


@pytest.fixture
def prefix(tmp_path: Path) -> ObjectUrl:
    """Two sealed archives of 30 events in the store of this process."""
    return shipped(tmp_path, 2, 30)


def shipped(directory: Path, archives: int, events: int = 3) -> ObjectUrl:
    """The copy of a new archive directory in the store of this process."""
    prefix = ObjectUrl("memory", directory.name, "archive")
    log = archive_log(directory)
    for number in range(archives):
        log.append(some(number * events, events))
        log.roll("stop")
    for path in find_archives([directory]):
        store_of(prefix).put(prefix / str(path.relative_to(directory)), path.read_bytes(), {})
    return prefix


def found(location: ObjectUrl, **options: bool) -> list[Event]:
    search = Search([location], **options)
    events = [one.event for one in search]
    assert search.faults == []
    return events


def test_a_prefix_is_searched_as_a_directory_is(prefix: ObjectUrl) -> None:
    assert found(prefix) == some(0, 60)
    assert found(prefix, descending=True) == some(0, 60)[::-1]


def test_an_archive_is_read_by_its_url(prefix: ObjectUrl) -> None:
    first, second = find_archives([prefix])
    assert (found(first), found(second)) == (some(0, 30), some(30, 30))


def test_an_archive_that_is_named_twice_is_read_once(prefix: ObjectUrl) -> None:
    first, second = find_archives([prefix])
    assert find_archives([second, prefix]) == [second, first]


def test_a_url_without_an_object_is_a_fault_with_its_place(prefix: ObjectUrl) -> None:
    gone = find_archives([prefix])[0]
    store_of(gone).delete(gone)
    search = Search([gone])
    assert list(search) == []
    assert [str(fault.path) for fault in search.faults] == [str(gone)]


def test_a_deleted_event_is_hidden_by_the_object_beside_its_archive(prefix: ObjectUrl) -> None:
    first = find_archives([prefix])[0]
    (verdict, _) = verify([prefix])
    line = Tombstone(head=verdict.head, event=3, id="id-3", deleted="2026-11-28T00:00:00Z")
    store_of(first).put(first.with_name(f"{verdict.id}.deleted"), msgspec.json.encode(line), {})
    assert found(prefix) == some(0, 3) + some(4, 56)
    name = EventName.parse("id-3")
    assert list(find_named([prefix], name, Visibility.SHOWN, [])) == []


def test_verify_reads_a_prefix_whole(prefix: ObjectUrl) -> None:
    verdicts = list(verify([prefix]))
    assert [(one.events, one.faults) for one in verdicts] == [(30, []), (30, [])]


def test_a_listed_archive_is_opened_without_a_head_request_or_one_for_its_tombstones(
    prefix: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = counted(monkeypatch, prefix)
    assert len([*entries([prefix], Wanted(ids=frozenset({"id-3"})))]) == 2
    assert store.requests.keys() == {"list", "read"}
    assert store.requests["list"] == 1
    assert store.requests["read"] <= 2 * 4


def test_the_indexes_of_many_archives_are_read_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """amazon-mq/rabbitmq-stream-s3#351: one connection limits a reader."""
    prefix = shipped(tmp_path, 40)
    store = counted(monkeypatch, prefix, delay_s=0.02)
    names = [entry.id for entry in entries([prefix], Wanted())]
    assert names == [f"one-{number:08d}" for number in range(1, 41)]
    assert store.most >= 8


def test_the_batches_of_a_search_are_fetched_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = shipped(tmp_path, 40)
    search = Search([prefix])
    search.plan()
    store = counted(monkeypatch, prefix, delay_s=0.02)
    assert [one.event for one in search] == some(0, 120)
    assert store.most >= 8
    assert store.requests == {"read": 40}, "one request for each batch"


def test_a_search_that_stops_early_fetches_few_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = shipped(tmp_path, 40)
    search = Search([prefix])
    search.plan()
    store = counted(monkeypatch, prefix)
    next(iter(search))
    assert store.requests["read"] < 8


def test_an_object_that_is_replaced_while_a_search_reads_is_looked_up_again(prefix: ObjectUrl) -> None:
    search = Search([prefix])
    search.plan()
    for url in find_archives([prefix]):  # the same content has another etag in memory
        store_of(url).put(url, store_of(url).get(url), {})
    assert ([one.event for one in search], search.faults) == (some(0, 60), [])


def test_an_object_that_is_replaced_by_another_archive_is_one_fault(prefix: ObjectUrl, tmp_path: Path) -> None:
    search = Search([prefix])
    search.plan()
    first, _ = find_archives([prefix])
    other = shipped(tmp_path / "other", 1)
    (raw,) = [store_of(other).get(url) for url in find_archives([other])]
    store_of(first).put(first, raw, {})
    assert [one.event for one in search] == some(30, 30)
    assert [str(fault) for fault in search.faults] == [
        f"{first}: the object was replaced while it was read; run the command again"
    ]


def test_an_archive_that_was_replaced_since_it_was_listed_is_opened(prefix: ObjectUrl) -> None:
    first, second = find_archives([prefix])
    store_of(first).put(first, store_of(second).get(second), {})
    with open_at(first) as archive:
        assert archive.head_id == ArchiveId("one", 2)


def test_a_copy_in_a_directory_is_preferred(prefix: ObjectUrl, tmp_path: Path) -> None:
    found = [entry.path for entry in entries([prefix, tmp_path], Wanted())]
    assert [type(path) for path in found] == [type(tmp_path)] * 2


def test_a_prefix_that_does_not_exist_is_a_fault(prefix: ObjectUrl) -> None:
    search = Search([prefix / "nothing", prefix])
    assert [one.event for one in search] == some(0, 60)
    assert [str(fault) for fault in search.faults] == [
        f"{prefix}/nothing: there is no object of this name or below it; correct the URL"
    ]


def test_a_source_reads_ranges_within_the_object(prefix: ObjectUrl) -> None:
    first = find_archives([prefix])[0]
    source = ObjectSource(first)
    raw = store_of(first).get(first)
    assert source.size == len(raw)
    assert source.read(4, 10) == raw[4:14]
    assert source.read(source.size - 3, 10) == raw[-3:]
    assert source.read(source.size, 5) == b""
    source.close()


def test_deleted_events_that_vanish_between_listing_and_reading_are_a_fault(prefix: ObjectUrl) -> None:
    """Without the object, the deleted event would be shown."""
    first = find_archives([prefix])[0]
    (verdict, _) = verify([prefix])
    side = first.with_name(f"{verdict.id}.deleted")
    line = Tombstone(head=verdict.head, event=3, id="id-3", deleted="2026-11-28T00:00:00Z")
    store_of(first).put(side, msgspec.json.encode(line), {})
    listed = find_archives([prefix])[0]
    store_of(first).delete(side)
    with open_archive(listed) as archive, pytest.raises(DeedboxError, match=r"the listing showed it, and it is gone"):
        Tombstones.of(archive)
    with open_archive(find_archives([prefix])[0]) as archive:
        assert Tombstones.of(archive).events == frozenset()
