from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.archive.listing import find_archives
from consumer.archive.naming import ArchiveId, parse_open, parse_sealed
from consumer.archive.reading.catalog import Wanted
from consumer.follow import newest as module
from consumer.follow.newest import Candidate, Newest
from consumer.follow.tail import Tail
from consumer.query.search import read_events
from tests.support.archive_logs import START_US, archive_log, event, some

# instance, arrivals of the batches, and whether the archive is sealed after it
BATCHES = st.lists(
    st.tuples(st.sampled_from(["one", "two"]), st.lists(st.integers(0, 20), min_size=1, max_size=4), st.booleans()),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(batches=BATCHES, count=st.integers(0, 12), even=st.booleans())
def test_the_newest_are_those_of_a_sort_by_arrival(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[str, list[int], bool]], count: int, even: bool
) -> None:
    directory = tmp_path_factory.mktemp("newest")
    writers = {instance: archive_log(directory, instance=instance) for instance in ("one", "two")}
    expected: list[tuple[int, str]] = []
    archive, number = dict.fromkeys(writers, 1), dict.fromkeys(writers, 0)
    for instance, arrivals, sealed in batches:
        writers[instance].append([event(at)._replace(arrived_us=START_US + at) for at in arrivals])
        for at in arrivals:
            if not even or at % 2 == 0:
                expected.append((at, f"{ArchiveId(instance, archive[instance])}:{number[instance]:03d}"))
            number[instance] += 1
        if sealed:
            writers[instance].roll("test")
            archive[instance] += 1
            number[instance] = 0
    newest = Newest(count, Wanted(), lambda _path, _number, one: not even or (one.arrived_us - START_US) % 2 == 0)
    found = newest.of([Candidate(path, id_of(path)) for path in find_archives([directory])])
    shown = [(one.event.arrived_us - START_US, one.position) for one in found]
    assert shown == [
        (at, position.rpartition(":")[0] + f":{int(position[-3:])}") for at, position in last(expected, count)
    ]
    assert newest.faults == []


def last(expected: list[tuple[int, str]], count: int) -> list[tuple[int, str]]:
    return sorted(expected)[-count:] if count else []


def id_of(path: Path) -> ArchiveId:
    found = parse_sealed(path) or parse_open(path)
    assert found is not None
    return found


def test_old_archives_are_not_opened(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for serial in range(5):
        one.append([event(serial)])
        one.roll("test")
    paths = find_archives([tmp_path])
    for path in paths[:3]:
        path.unlink()
        path.mkdir()
    newest = Newest(2, Wanted(), lambda *_: True)
    assert [one.position for one in newest.of([Candidate(path, id_of(path)) for path in paths])] == [
        "one-00000004:0", "one-00000005:0",
    ]  # fmt: skip
    assert newest.faults == []


def test_of_archives_whose_last_events_arrived_at_one_time_only_those_are_read_that_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archives of imports often end at one time. Every batch that ended then was read, of all archives."""
    for instance in ("a", "b", "c"):
        one = archive_log(tmp_path, instance=instance)
        for first in (0, 5, 10):
            one.append([event._replace(arrived_us=START_US) for event in some(first, 5)])
        one.roll("test")
    read: list[Path] = []
    monkeypatch.setattr(module, "read_events", lambda path, *rest: [read.append(path), read_events(path, *rest)][1])
    found = Tail([tmp_path]).newest(7)
    assert [one.position for one in found] == [f"c-00000001:{number}" for number in range(8, 15)]
    assert len(read) == 2
