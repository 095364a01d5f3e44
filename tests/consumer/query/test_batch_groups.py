"""Batches in groups: in order, bounded, and with the same answers as one by one."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.archive.listing import find_archives
from consumer.archive.reading.catalog import Wanted, look_up
from consumer.archive.reading.tombstones import Tombstones
from consumer.query import batch_groups as module
from consumer.query.batch_groups import GROUP_MAX, grouped, read_group
from consumer.query.batches import BatchRequest, MovedBatch, read_batch
from consumer.query.query import Query, make_query
from consumer.query.search import Search
from tests.support.archive_logs import archive_log, some
from tests.support.processes import processes


@pytest.fixture
def requests(tmp_path: Path) -> list[BatchRequest]:
    one = archive_log(tmp_path / "archive")
    for first in range(0, 200, 2):
        one.append(some(first, 2))
    path = find_archives([tmp_path / "archive"])[0]
    return [BatchRequest(path, 0, batch, Tombstones(), Query()) for batch in look_up(path, Wanted()).batches]


def test_groups_keep_the_order_and_have_a_limited_number_of_batches(requests: list[BatchRequest]) -> None:
    groups = list(grouped(requests))
    assert [one for group in groups for one in group] == requests
    assert [len(group) for group in groups] == [GROUP_MAX, 100 - GROUP_MAX]
    assert list(grouped([])) == []


@given(st.lists(st.integers(1, 5), max_size=20))
def test_groups_have_a_limited_size(sizes: list[int]) -> None:
    class Sized:
        def __init__(self, raw: int) -> None:
            self.batch = self.header = self
            self.raw = raw

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "GROUP_BYTES", 4)
        groups = [[one.raw for one in group] for group in grouped(map(Sized, sizes))]
    assert [size for group in groups for size in group] == sizes
    assert all(group for group in groups)
    assert all(sum(group) <= 4 or len(group) == 1 for group in groups)
    assert all(sum(left) + right[0] > 4 for left, right in pairwise(groups))


def test_a_group_is_read_as_its_batches_are(requests: list[BatchRequest]) -> None:
    requests[3] = requests[3]._replace(path=requests[3].path.with_name("gone"))
    assert read_group(requests) == [read_batch(request) for request in requests]


def test_without_bodies_the_events_can_be_counted(requests: list[BatchRequest]) -> None:
    query = make_query(where=["serial>=50"])
    requests = [request._replace(query=query) for request in requests]
    requests[3] = requests[3]._replace(path=requests[3].path.with_name("gone"))
    whole, counted = read_group(requests), read_group(requests, bodies=False)
    assert [[number for number, _ in read.events] for read in whole] == [
        [number for number, _ in read.events] for read in counted
    ]
    assert {(event.id, event.header, event.body) for read in counted for _, event in read.events} == {("", b"", b"")}
    assert isinstance(counted[3], MovedBatch)


def test_a_search_in_groups_gives_the_same_events(tmp_path: Path) -> None:
    """Batches of two instances that overlap in time."""
    for name in ("one", "two"):
        log = archive_log(tmp_path / "archive", instance=name)
        for first in range(0, 300, 3):
            log.append(some(first, 3))
        log.roll("test")
    with processes(2) as executor:
        assert list(Search([tmp_path], executor=executor)) == list(Search([tmp_path]))
        assert sum(1 for _ in Search([tmp_path], executor=executor, bodies=False)) == 600
