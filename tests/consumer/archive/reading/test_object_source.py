"""Archives in object storage, read through the same readers as local files."""

from pathlib import Path

import msgspec
import pytest

from codec.event import Event
from consumer.archive.checking.verify import verify
from consumer.archive.listing import find_archives
from consumer.archive.reading.object_source import ObjectSource
from consumer.archive.reading.tombstones import Tombstone
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.query.named import EventName, Visibility, find_named
from consumer.query.search import Search
from tests.support.archive_logs import archive_log, some


@pytest.fixture
def prefix(tmp_path: Path) -> ObjectUrl:
    """Two sealed archives in the store of this process."""
    prefix = ObjectUrl("memory", tmp_path.name, "archive")
    log = archive_log(tmp_path)
    for first in (0, 30):
        log.append(some(first, 30))
        log.roll("stop")
    for path in find_archives([tmp_path]):
        store_of(prefix).put(prefix / str(path.relative_to(tmp_path)), path.read_bytes(), {})
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


def test_a_source_reads_ranges_within_the_object(prefix: ObjectUrl) -> None:
    first = find_archives([prefix])[0]
    source = ObjectSource(first)
    raw = store_of(first).get(first)
    assert source.size == len(raw)
    assert source.read(4, 10) == raw[4:14]
    assert source.read(source.size - 3, 10) == raw[-3:]
    assert source.read(source.size, 5) == b""
    source.close()
