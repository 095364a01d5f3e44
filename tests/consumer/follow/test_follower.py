"""The follower: which batches come, in which order, and from where after a restart. `test_tail` has the ways of files."""

from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import add_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.archive.rewriting.repack import repack
from consumer.disk.durable import Disk
from consumer.errors import Fatal
from consumer.follow.checkpoint import Confirmed, StreamName
from consumer.follow.follower import FollowedBatch, Follower
from tests.support.archive_logs import archive_log, some

Known = dict[StreamName, Confirmed]


def ids(batches: list[FollowedBatch]) -> list[list[str]]:
    return [[event.id for _, event in batch.events] for batch in batches]


def follow(directory: Path, known: Known | None = None) -> list[FollowedBatch]:
    follower = Follower([directory])
    try:
        follower.resume(known or {}, directory)
        batches = list(follower.read())
        assert follower.faults == []
        return batches
    finally:
        follower.close()


def confirmed(batches: list[FollowedBatch], directory: Path) -> Known:
    return {batch.name(directory): batch.confirmed() for batch in batches}


def test_batches_come_in_the_order_of_each_instance(tmp_path: Path) -> None:
    two, one = archive_log(tmp_path, instance="two"), archive_log(tmp_path)
    two.append(some(10, 1))
    one.append(some(0, 2))
    one.roll("test")
    one.append(some(2, 1))
    one.append(some(3, 1))
    assert ids(follow(tmp_path)) == [["id-0", "id-1"], ["id-2"], ["id-3"], ["id-10"]]


def test_after_each_batch_a_restart_goes_on_with_the_next_one(tmp_path: Path) -> None:
    for instance in ("one", "two"):
        archives = archive_log(tmp_path, instance=instance)
        for at in range(4):
            archives.append(some(10 * at, 2))
            if at % 2:
                archives.roll("test")
    everything = follow(tmp_path)
    assert len(everything) == 8
    for stop in range(9):
        known = confirmed(everything[:stop], tmp_path)
        assert ids(follow(tmp_path, known)) == ids(everything[stop:])


def test_a_position_survives_repacking_and_compaction(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for at in range(6):
        one.append(some(at, 1))
    before = follow(tmp_path)
    one.roll("test")
    path = find_archives([tmp_path])[0]
    with ArchiveFile(path) as archive:
        add_tombstones(Disk(), archive, [2], "id-2", "2026-11-28T00:00:00Z")
    list(compact(Disk(), [path]))
    list(repack(Disk(), [path]))
    for stop in range(1, 6):
        rest = follow(tmp_path, confirmed(before[:stop], tmp_path))
        assert [id for batch in ids(rest) for id in batch] == [f"id-{at}" for at in range(stop, 6) if at != 2]


def test_an_instance_that_comes_later_is_followed_from_its_beginning(tmp_path: Path) -> None:
    archive_log(tmp_path).append(some(0, 1))
    known = confirmed(follow(tmp_path), tmp_path)
    archive_log(tmp_path, instance="late").append(some(5, 2))
    assert ids(follow(tmp_path, known)) == [["id-5", "id-6"]]


@pytest.mark.parametrize("loss", ["removed", "cut", "other", "instance"])
def test_if_the_confirmed_event_is_gone_or_different_the_follower_stops(tmp_path: Path, loss: str) -> None:
    directory, other = tmp_path / "archive", tmp_path / "other"
    one = archive_log(directory)
    one.append(some(0, 2))
    one.append(some(2, 2))
    one.roll("test")
    known = confirmed(follow(directory), directory)
    path = find_archives([directory])[0]
    path.chmod(0o600)
    if loss == "cut":
        another = archive_log(other)
        another.append(some(0, 2))
        another.roll("test")
        path.write_bytes(find_archives([other])[0].read_bytes())
    elif loss == "other":
        another = archive_log(other)
        another.append(some(7, 4))
        another.roll("test")
        path.write_bytes(find_archives([other])[0].read_bytes())
    else:
        path.unlink()
    if loss == "instance":
        for left in directory.glob("one*"):
            left.unlink()
    reason = {"removed": "is not there", "cut": "the event is not in it", "other": "another event has this position"}
    with pytest.raises(Fatal, match=reason.get(loss, "is not there")) as raised:
        follow(directory, known)
    assert "the checkpoint ends at one-00000001:3" in str(raised.value)


def test_an_archive_that_is_missing_in_between_is_reported_once(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    for at in range(3):
        one.append(some(at, 1))
        one.roll("test")
    follower = Follower([tmp_path])
    find_archives([tmp_path])[1].unlink()
    assert ids(list(follower.read())) == [["id-0"], ["id-2"]]
    assert list(follower.read()) == []
    assert len(follower.faults) == 1
    assert "archive one-00000002 is not there" in str(follower.faults[0])
    follower.close()


def test_a_batch_whose_events_are_all_deleted_is_confirmed_too(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 1))
    one.append(some(1, 1))
    (path,) = find_archives([tmp_path])
    with ArchiveFile(path) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-28T00:00:00Z")
    batches = follow(tmp_path)
    assert ids(batches) == [["id-0"], []]
    assert follow(tmp_path, confirmed(batches, tmp_path)) == []
