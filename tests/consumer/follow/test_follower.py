"""The follower: which batches come, in which order, and from where after a restart. `test_tail` has the ways of files."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from consumer.archive.layout import Layout
from consumer.archive.listing import find_archives
from consumer.archive.naming import lock_path
from consumer.archive.reading.reader import ArchiveFile
from consumer.archive.reading.tombstones import add_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.archive.rewriting.repack import repack
from consumer.archive.writing.archive_log import ArchiveLog
from consumer.archive.writing.recovery import recover
from consumer.disk.durable import Disk, held
from consumer.errors import Fatal, StorageFault
from consumer.follow import cursor
from consumer.follow.checkpoint import Checkpoint, Confirmed, StreamName
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


def test_after_each_batch_a_restart_continues_with_the_next_one(tmp_path: Path) -> None:
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
def test_if_the_confirmed_event_was_removed_or_changed_the_follower_stops(tmp_path: Path, loss: str) -> None:
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


def followed(follower: Follower) -> list[str]:
    return [id for batch in ids(list(follower.read())) for id in batch]


def start(directory: Path) -> Follower:
    follower = Follower([directory])
    follower.resume({}, directory)
    return follower


def test_a_missing_archive_is_reported_also_if_the_next_one_is_seen_before_its_head(tmp_path: Path) -> None:
    """The file is made before its head is written, and the kernel wakes the follower at that moment."""

    class Looking(Disk):
        looks = False

        def create(self, path: Path) -> int:
            made = super().create(path)
            if self.looks:
                assert followed(follower) == []
            return made

    disk = Looking()
    one = archive_log(tmp_path, disk)
    one.append(some(0, 1))
    one.roll("test")
    follower = start(tmp_path)
    assert followed(follower) == ["id-0"]
    one.append(some(1, 1))
    one.roll("test")
    find_archives([tmp_path])[1].unlink()
    disk.looks = True
    with held(Disk(), lock_path(tmp_path, "one")):
        one.append(some(2, 1))
        assert followed(follower) == ["id-2"]
    assert "archive one-00000002 is not there" in str(follower.faults[0])
    follower.close()


def test_a_batch_whose_sync_fails_is_no_gap_because_it_comes_in_the_next_archive(tmp_path: Path) -> None:
    class Failing(Disk):
        fails = True

        def sync(self, fd: int) -> None:
            if self.fails:
                assert followed(follower) == []
                raise OSError(errno.EIO, "Input/output error")
            super().sync(fd)

    disk = Failing()
    one = archive_log(tmp_path, disk)
    follower = start(tmp_path)
    with held(Disk(), lock_path(tmp_path, "one")):
        with pytest.raises(StorageFault):
            one.append(some(0, 2))
        disk.fails = False
        one.append(some(0, 2))
        one.append(some(2, 1))
        one.roll("test")
        assert followed(follower) + followed(follower) == ["id-0", "id-1", "id-2"]
    assert follower.faults == []
    follower.close()


def test_an_archive_that_is_sealed_while_its_watermark_is_asked_for_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name did not exist any more, so it counted as removed, and its events were skipped."""
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    path = one.writer.path
    one.writer.abandon()
    again = archive_log(tmp_path)
    again.append(some(2, 1))
    assert again.writer is not None
    again.writer.abandon()
    follower = start(tmp_path)
    real = cursor.durable_events

    def sealed_first(disk: Disk, asked: Path) -> int | None:
        if asked == path and path.exists():
            recover(Disk(), Layout(tmp_path), path)
        return real(disk, asked)

    monkeypatch.setattr(cursor, "durable_events", sealed_first)
    assert [id for _ in range(3) for id in followed(follower)] == ["id-0", "id-1", "id-2"]
    assert follower.faults == []
    follower.close()


def without_traces(directory: Path) -> None:
    """As in a copy of the archives alone."""
    for path in directory.glob("one.*"):
        path.unlink()


def test_a_checkpoint_of_copied_archives_holds_when_a_service_starts_there(tmp_path: Path) -> None:
    source, copied = tmp_path / "source", tmp_path / "copied"
    one = archive_log(source)
    for at in range(2):
        one.append(some(at, 1))
        one.roll("test")
    shutil.copytree(source, copied)
    without_traces(copied)
    known = confirmed(follow(copied), copied)
    archive_log(copied).append(some(2, 1))
    assert ids(follow(copied, known)) == [["id-2"]]


def test_an_old_day_of_copied_archives_may_be_removed_if_all_of_it_was_confirmed(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    day_us = 86_400_000_000
    for at in range(2):
        one.append([event._replace(arrived_us=event.arrived_us + at * day_us) for event in some(at, 1)])
        one.roll("test")
    without_traces(tmp_path)
    known = confirmed(follow(tmp_path), tmp_path)
    shutil.rmtree(find_archives([tmp_path])[0].parent)
    assert follow(tmp_path, known) == []


def test_two_archives_of_one_sequence_are_refused_by_a_checkpoint(tmp_path: Path) -> None:
    both = tmp_path / "both"
    both.mkdir()
    for at, name in enumerate(("a", "b")):
        archives = archive_log(tmp_path / name)
        archives.append(some(10 * at, 2))
        archives.roll("test")
        (path,) = find_archives([tmp_path / name])
        shutil.copy(path, both)
    with pytest.raises(Fatal, match="two different archives of instance one have the same sequence"):
        confirmed(follow(both), both)


def test_with_a_checkpoint_an_error_of_an_archive_is_waited_out_and_nothing_is_left_out(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 1))
    one.roll("test")
    one.append(some(1, 1))
    damaged = tmp_path / "one-00000001.deleted"
    damaged.write_text("no JSON\n")
    follower = start(tmp_path)
    assert [followed(follower) for _ in range(3)] == [[], [], []]
    assert len(follower.faults) == 1
    damaged.unlink()
    assert followed(follower) == ["id-0", "id-1"]
    follower.close()


def test_a_link_to_an_open_archive_is_followed(tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 2))
    assert one.writer is not None
    (linked / one.writer.path.name).symlink_to(one.writer.path)
    follower = start(linked)
    assert followed(follower) == ["id-0", "id-1"]
    one.append(some(2, 1))
    assert followed(follower) == ["id-2"]
    follower.close()


def test_a_directory_whose_name_is_not_utf_8_has_a_name_in_the_checkpoint(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    odd.mkdir()
    archive_log(odd).append(some(0, 1))
    known = confirmed(follow(tmp_path), tmp_path)
    assert list(known) == [StreamName("\\xff", "one")]
    checkpoint = Checkpoint(Disk(), tmp_path, "billing")
    checkpoint.store(known)
    checkpoint.close()
    assert follow(tmp_path, known) == []


def test_a_batch_that_was_cut_off_while_the_cursor_held_it_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sync failed, the archive was recovered and sealed, and because of the sealed name, the old bytes counted as durable."""
    one = archive_log(tmp_path)
    one.append(some(0, 1))
    assert one.writer is not None
    writer, path = one.writer, one.writer.path
    durable = path.stat().st_size
    follower = start(tmp_path)
    assert followed(follower) == ["id-0"]
    writer.append(some(1, 1))  # this way the watermark does not count it
    real = cursor.Cursor.find_renamed

    def cut_off_first(self: cursor.Cursor, look: Callable[[bool], None]) -> None:
        if path.exists():
            writer.abandon()
            os.truncate(path, durable)
            recover(Disk(), Layout(tmp_path), path)
        real(self, look)

    monkeypatch.setattr(cursor.Cursor, "find_renamed", cut_off_first)
    assert [followed(follower) for _ in range(3)] == [[], [], []]
    assert not path.exists()
    assert follower.faults == []
    follower.close()


def mirrored(source: Path, target: Path, rolls: int, first: int = 0) -> ArchiveLog:
    """Sealed archives alone, in one directory, as a copy of them."""
    archives = archive_log(source)
    for at in range(rolls):
        archives.append(some(first + at, 1))
        archives.roll("test")
    target.mkdir(parents=True)
    for path in find_archives([source]):
        shutil.copy(path, target)
    return archives


def test_copies_in_directories_with_numbers_or_addresses_as_names_are_streams_of_their_own(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    mirrored(tmp_path / "a", copies / "10.0.0.1", 3)
    second = mirrored(tmp_path / "b", copies / "10.0.0.2", 1, first=100)
    follower = start(copies)
    assert sorted(followed(follower)) == ["id-0", "id-1", "id-100", "id-2"]
    second.append(some(101, 1))
    second.roll("test")
    shutil.copy(find_archives([tmp_path / "b"])[1], copies / "10.0.0.2")
    follower.streams.look(everywhere=True)
    assert followed(follower) == ["id-101"]
    assert follower.faults == []
    follower.close()


@pytest.mark.parametrize("below", [False, True])
def test_with_a_checkpoint_a_directory_that_is_away_for_a_moment_costs_nothing(tmp_path: Path, below: bool) -> None:
    directory = tmp_path / "archive"
    live = directory / "x" if below else directory
    directory.mkdir()
    one = archive_log(live)
    for at in range(4):
        one.append(some(at, 1))
        one.roll("test")
    follower = start(directory)
    reading = follower.read()
    given = [event.id for _, event in next(reading).events]
    live.rename(tmp_path / "away")
    given += [event.id for batch in reading for _, event in batch.events] + followed(follower)
    (tmp_path / "away").rename(live)
    follower.streams.look(everywhere=True)
    given += followed(follower) + followed(follower)
    assert given == ["id-0", "id-1", "id-2", "id-3"]
    follower.close()


def test_an_archive_whose_recovery_does_not_succeed_is_reported(tmp_path: Path) -> None:
    class Failing(Disk):
        fails = False

        def sync(self, fd: int) -> None:
            if self.fails:
                raise OSError(errno.EIO, "Input/output error")
            super().sync(fd)

        def truncate(self, fd: int, size: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

    disk = Failing()
    one = archive_log(tmp_path, disk)
    with held(Disk(), lock_path(tmp_path, "one")):
        one.append(some(0, 1))
        disk.fails = True
        with pytest.raises(StorageFault):
            one.append(some(1, 1))
        disk.fails = False
        one.append(some(1, 1))
        follower = start(tmp_path)
        follower.patience_s = 0.0
        assert followed(follower) + followed(follower) == ["id-0"]
        assert [fault.reason for fault in follower.faults] == [
            "its recovery is awaited: its last batches may not be durable"
        ]
        follower.close()


@pytest.mark.parametrize("looks", [False, True])
def test_sequences_that_are_used_again_after_a_full_disk_are_followed(tmp_path: Path, looks: bool) -> None:
    """On a full disk neither the batch nor the ledger can be written, and recovery removes the empty archives."""

    class Full(Disk):
        full = False

        def append(self, fd: int, raw: bytes) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().append(fd, raw)

        def replace(self, path: Path, raw: bytes) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().replace(path, raw)

    disk = Full()
    one = archive_log(tmp_path, disk)
    given: list[str] = []
    with held(Disk(), lock_path(tmp_path, "one")):
        one.append(some(0, 1))
        one.roll("test")
        follower = start(tmp_path)
        given += followed(follower)
        disk.full = True
        for _ in range(2):
            with pytest.raises(StorageFault):
                one.append(some(1, 1))
            given += followed(follower) if looks else []
            one.recover_abandoned()
            given += followed(follower) if looks else []
        again = archive_log(tmp_path)  # killed, and started again with space
        for at in (1, 2, 3):
            again.append(some(at, 1))
            again.roll("test")
            given += followed(follower)
        follower.streams.look(everywhere=True)
        given += followed(follower)
    assert given == ["id-0", "id-1", "id-2", "id-3"]
    assert follower.faults == []
    follower.close()


def test_with_a_checkpoint_an_empty_mount_point_for_a_moment_costs_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "archive"
    one = archive_log(directory)
    for at in range(4):
        one.append(some(at, 1))
        one.roll("test")
    follower = start(directory)
    reading = follower.read()
    first = next(reading)
    given = [event.id for _, event in first.events]
    follower.confirmed |= confirmed([first], directory)
    directory.rename(tmp_path / "away")
    directory.mkdir()
    given += [event.id for batch in reading for _, event in batch.events] + followed(follower)
    directory.rmdir()
    (tmp_path / "away").rename(directory)
    follower.streams.look(everywhere=True)
    given += followed(follower) + followed(follower)
    assert given == ["id-0", "id-1", "id-2", "id-3"]
    follower.close()


def test_with_a_checkpoint_a_directory_that_was_replaced_by_its_copy_continues(tmp_path: Path) -> None:
    directory = tmp_path / "archive"
    one = archive_log(directory)
    for at in range(3):
        one.append(some(at, 1))
        one.roll("test")
    follower = start(directory)
    batches = list(follower.read())
    follower.confirmed |= confirmed(batches, directory)
    shutil.copytree(directory, tmp_path / "copy")
    directory.rename(tmp_path / "old")
    (tmp_path / "copy").rename(directory)
    again = archive_log(directory)
    again.append(some(3, 1))
    follower.streams.look(everywhere=True)
    assert followed(follower) + followed(follower) == ["id-3"]
    follower.close()


def test_a_directory_of_the_checkpoint_that_is_away_is_reported_and_the_others_are_followed(tmp_path: Path) -> None:
    one, two = archive_log(tmp_path / "x"), archive_log(tmp_path / "y", instance="two")
    one.append(some(0, 1))
    two.append(some(10, 1))
    known = confirmed(follow(tmp_path), tmp_path)
    (tmp_path / "y").rename(tmp_path.with_name("away"))
    one.append(some(1, 1))
    follower = Follower([tmp_path])
    follower.resume(known, tmp_path)
    assert followed(follower) == ["id-1"]
    assert [fault.reason for fault in follower.faults] == [
        "is not there: instance two is not followed from two-00000001:0 on"
    ]
    tmp_path.with_name("away").rename(tmp_path / "y")
    two.append(some(11, 1))
    follower.streams.look(everywhere=True)
    assert followed(follower) == ["id-11"]
    follower.close()


def test_directories_with_numbers_above_those_of_the_days_are_streams_of_their_own(tmp_path: Path) -> None:
    """The day of these archives is the 21st: the directory `21` is no part of the date."""
    for number, (name, first) in enumerate({"21": 0, "16": 100}.items()):
        source = tmp_path / f"source-{number}"
        archives = archive_log(source)
        for at in range(2):
            archives.append(some(first + at, 1))
            archives.roll("test")
        shutil.copytree(find_archives([source])[0].parent, tmp_path / "copies" / name / "20251121")
    batches = follow(tmp_path / "copies")
    assert sorted(id for batch in ids(batches) for id in batch) == ["id-0", "id-1", "id-100", "id-101"]
    assert {batch.name(tmp_path / "copies").directory for batch in batches} == {"21", "16"}
