import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.archive.layout import Layout
from consumer.archive.listing import find_archives
from consumer.archive.reading.reader import ArchiveFile, StoredBatch
from consumer.archive.reading.tombstones import add_tombstones
from consumer.archive.rewriting.compact import compact
from consumer.archive.writing.recovery import recover
from consumer.disk.durable import Disk
from consumer.follow.checkpoint import Checkpoint
from consumer.follow.tail import Tail
from consumer.query.query import make_query
from consumer.watch.backends import Polling, choose
from tests.support.archive_logs import archive_log, some


def ids(found: Iterator[object]) -> list[str]:
    return [one.event.id for one in found]


def named(first: int, count: int) -> list[str]:
    return [f"id-{serial}" for serial in range(first, first + count)]


@pytest.fixture
def tail(tmp_path: Path) -> Iterator[Tail]:
    made = Tail([tmp_path])
    yield made
    made.close()


def test_the_newest_events_come_by_time_across_instances_and_archives(tmp_path: Path, tail: Tail) -> None:
    for instance, first in (("one", 0), ("two", 3)):
        writer = archive_log(tmp_path, instance=instance)
        for at in range(first, 60, 6):
            writer.append(some(at, 3))
            if at > 30:
                writer.roll("test")
    assert ids(tail.newest(10)) == named(50, 10)
    assert ids(tail.read()) == []


def test_more_than_there_are_is_all_there_are(tmp_path: Path, tail: Tail) -> None:
    archive_log(tmp_path).append(some(0, 5))
    assert ids(tail.newest(100)) == named(0, 5)


def test_none_of_the_newest_and_all_that_follow(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 5))
    assert tail.newest(0) == []
    one.append(some(5, 5))
    assert ids(tail.read()) == named(5, 5)
    assert ids(tail.read()) == []


def test_a_roll_is_followed(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 5))
    tail.newest(0)
    one.append(some(5, 5))
    one.roll("test")
    one.append(some(10, 5))
    assert ids(tail.read()) == named(5, 10)
    one.roll("test")
    one.append(some(15, 5))
    one.roll("test")
    one.append(some(20, 5))
    assert ids(tail.read()) == named(15, 10)


def test_an_archive_that_came_and_went_between_two_looks_is_not_missed(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 5))
    tail.newest(0)
    for at in range(5, 25, 5):
        one.roll("test")
        one.append(some(at, 5))
    assert ids(tail.read()) == named(5, 20)


def test_a_directory_that_comes_late_and_a_new_instance_are_followed(tmp_path: Path) -> None:
    tail = Tail([tmp_path / "late"])
    assert tail.newest(10) == []
    assert ids(tail.read()) == []
    one = archive_log(tmp_path / "late")
    one.append(some(0, 5))
    assert ids(tail.read()) == named(0, 5)
    two = archive_log(tmp_path / "late", instance="two")
    two.append(some(5, 5))
    one.append(some(10, 5))
    assert sorted(ids(tail.read())) == sorted(named(5, 10))
    tail.close()


def test_a_dead_instance_is_left_for_its_next_life(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 5))
    tail.newest(0)
    one.append(some(5, 5))
    assert one.writer is not None
    path = one.writer.path
    one.writer.abandon()
    with path.open("ab") as file:
        file.write(path.read_bytes()[-200:-50])  # torn
    again = archive_log(tmp_path)
    recover(Disk(), Layout(tmp_path), path)
    again.append(some(10, 5))
    assert ids(tail.read()) == named(5, 10)
    assert tail.faults == []


def test_a_torn_frame_is_never_read(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 5))
    tail.newest(0)
    one.append(some(5, 5))
    assert one.writer is not None
    path, whole = one.writer.path, one.writer.path.read_bytes()
    half = tmp_path / "copy"
    half.mkdir()
    copy = half / path.name
    copy.write_bytes(whole[:-100])
    other = Tail([half])
    assert ids(other.newest(10)) == named(0, 5)
    for size in range(len(whole) - 99, len(whole) + 1, 7):
        copy.write_bytes(whole[:size])
        assert ids(other.read()) in ([], named(5, 5))
    copy.write_bytes(whole)
    list(other.read())
    assert other.faults == []
    other.close()


def test_only_what_is_wanted_is_shown(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 30))
    tail = Tail([tmp_path], make_query(types=["type.1"]))
    assert ids(tail.newest(2)) == ["id-25", "id-28"]
    one.append(some(30, 5))
    assert ids(tail.read()) == ["id-31", "id-34"]
    tail.close()


def test_a_deleted_event_is_not_shown_before_and_after_it_was_taken_out(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 3))
    with ArchiveFile(find_archives([tmp_path])[0]) as archive:
        add_tombstones(Disk(), archive, [1], "id-1", "2026-11-21T16:15:00Z")
    assert ids(tail.newest(10)) == ["id-0", "id-2"]
    other = Tail([tmp_path])
    other.newest(0)
    one.append(some(3, 3))
    one.roll("test")
    with ArchiveFile(find_archives([tmp_path])[0]) as archive:
        add_tombstones(Disk(), archive, [4], "id-4", "2026-11-21T16:15:00Z")
    assert [done.outcome for done in compact(Disk(), [tmp_path])] == ["compacted"]
    assert ids(other.read()) == ["id-3", "id-5"]
    other.close()


def test_two_directories_may_have_instances_of_one_name(tmp_path: Path) -> None:
    first, second = archive_log(tmp_path / "a"), archive_log(tmp_path / "b")
    first.append(some(0, 2))
    second.append(some(100, 2))
    tail = Tail([tmp_path / "a", tmp_path / "b"])
    assert sorted(ids(tail.newest(10))) == sorted([*named(0, 2), *named(100, 2)])
    second.append(some(102, 1))
    assert ids(tail.read()) == named(102, 1)
    tail.close()


def test_an_archive_that_is_removed_before_it_was_read_is_named_and_the_next_one_read(
    tmp_path: Path, tail: Tail
) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    tail.newest(0)
    one.roll("test")
    one.append(some(2, 2))
    tail.follower.streams.look(everywhere=True)
    one.roll("test")
    one.append(some(4, 2))
    find_archives([tmp_path])[1].unlink()
    assert ids(tail.read()) == named(4, 2)
    assert len(tail.faults) == 1
    assert "archive one-00000002 is not there" in str(tail.faults[0])


def test_an_archive_with_a_damaged_head_is_named_and_read(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    tail.newest(0)
    one.roll("test")
    one.append(some(2, 2))
    one.roll("test")
    path = find_archives([tmp_path])[1]
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    raw[20] ^= 1
    path.write_bytes(raw)
    tail.follower.streams.look(everywhere=True)
    assert ids(tail.read()) == named(2, 2)
    assert "at 0: damaged" in str(tail.faults[0])


def test_a_sealed_archive_is_not_kept_open(tmp_path: Path, tail: Tail) -> None:
    tail.newest(0)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(10):
        one = archive_log(tmp_path, instance=f"pod-{number}")
        one.append(some(number, 1))
        one.roll("test")
    tail.follower.streams.look(everywhere=True)
    assert len(ids(tail.read())) == 10
    assert len(os.listdir("/proc/self/fd")) == before


def test_damage_is_named_and_passed_by(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    for at in range(0, 30, 10):
        one.append(some(at, 10))
    one.roll("test")
    (path,) = find_archives([tmp_path])
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 4] ^= 1
    path.write_bytes(raw)
    assert len(ids(tail.newest(100))) == 20
    assert len(tail.faults) == 1


def test_a_commit_wakes_a_waiting_reader(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    tail.newest(0)
    backend = choose(every_write=True)
    tail.wait(backend, 0)
    one.append(some(0, 1))
    tail.wait(backend, 60)
    assert ids(tail.read()) == ["id-0"]
    one.append(some(1, 1))
    tail.wait(backend, 60)
    assert ids(tail.read()) == ["id-1"]
    backend.close()
    tail.wait(Polling(0), 60)


def test_an_expression_that_times_out_in_mid_batch_repeats_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.query.query.MATCH_S_MAX", 0.05)
    one = archive_log(tmp_path)
    tail = Tail([tmp_path], make_query(match=r"(x+x+)+(?=y)\1z|short"))
    short = [event._replace(body=b"short") for event in some(0, 5)]
    slow = short[2]._replace(body=b"x" * 5000)
    one.append([*short[:2], slow, *short[3:]])
    assert ids(tail.newest(10)) == ["id-0", "id-1", "id-3", "id-4"]
    one.append([*short[:2], slow, *short[3:]])
    one.append(short[:1])
    assert ids(tail.read()) == ["id-0", "id-1", "id-3", "id-4", "id-0"]
    assert ids(tail.read()) == []
    assert [fault.reason.partition(": ")[0] for fault in tail.faults] == ["event 2", "event 7"]
    tail.close()


def test_two_directories_below_one_path_may_have_instances_of_one_name(tmp_path: Path, tail: Tail) -> None:
    """Only 30 of 60 events were shown: the archives of one directory replaced those of the other."""
    writers = [archive_log(tmp_path / name) for name in ("a", "b")]
    for at, one in ((0, writers[0]), (15, writers[1])):
        one.append(some(at, 10))
        one.roll("test")
        one.append(some(at + 10, 5))
    assert ids(tail.newest(100)) == named(0, 30)
    for at, one in ((30, writers[0]), (45, writers[1])):
        one.append(some(at, 5))
        one.roll("test")
        one.append(some(at + 5, 10))
    assert sorted(ids(tail.read())) == sorted(named(30, 30))
    assert tail.faults == []


@pytest.mark.parametrize("how", ["moved away", "removed", "emptied"])
def test_a_directory_that_was_replaced_is_followed(tmp_path: Path, how: str) -> None:
    """0 of 6 events were shown: the archives of the new directory have sequences that were read in the old one."""
    tail = Tail([tmp_path])
    one = archive_log(tmp_path / "a")
    for at in range(3):
        one.append(some(at, 1))
        one.roll("test")
    one.append(some(3, 1))
    assert ids(tail.newest(10)) == named(0, 4)
    assert one.writer is not None
    one.writer.abandon()
    if how == "moved away":
        (tmp_path / "a").rename(tmp_path.with_name(f"{tmp_path.name}-old"))
    elif how == "removed":
        shutil.rmtree(tmp_path / "a")
    else:
        for path in (tmp_path / "a").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = archive_log(tmp_path / "a")
    again.append([event._replace(arrived_us=event.arrived_us + 10**9) for event in some(10, 3)])
    again.roll("test")
    again.append(some(13, 3))
    assert sorted([*ids(tail.read()), *ids(tail.read())]) == sorted(named(10, 6))
    again.append(some(16, 1))
    assert ids(tail.read()) == named(16, 1)
    assert tail.faults == []
    tail.close()


def test_an_unreadable_archive_in_mid_sequence_does_not_stall_its_instance(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    tail.newest(0)
    one.append(some(2, 2))
    one.roll("test")
    one.append(some(4, 2))
    one.roll("test")
    one.append(some(6, 2))
    unreadable = find_archives([tmp_path])[1]
    unreadable.unlink()
    unreadable.mkdir()  # root may read every file, and no directory as a file
    assert ids(tail.read()) == [*named(2, 2), *named(6, 2)]
    one.append(some(8, 2))
    assert ids(tail.read()) == named(8, 2)
    assert len(tail.faults) == 1
    assert str(unreadable) in str(tail.faults[0])


def test_damaged_tombstones_delay_no_later_archive_and_are_named_once(tmp_path: Path, tail: Tail) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    tail.newest(0)
    one.append(some(2, 2))
    (tmp_path / "one-00000001.deleted").write_text("no JSON\n")
    assert [ids(tail.read()) for _ in range(3)] == [[], [], []]
    one.roll("test")
    one.append(some(4, 2))
    assert ids(tail.read()) == named(4, 2)
    assert len(tail.faults) == 1
    assert "one-00000001.deleted" in str(tail.faults[0])


def test_no_archive_is_left_out_because_descriptors_are_short(
    tmp_path: Path, tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = archive_log(tmp_path)
    tail.newest(0)
    for at in range(3):
        one.append(some(at, 1))
        one.roll("test")

    def short(_path: Path) -> ArchiveFile:
        raise OSError(errno.EMFILE, "Too many open files")

    tail.follower.streams.look(everywhere=True)
    monkeypatch.setattr("consumer.follow.follower.ArchiveFile", short)
    assert [ids(tail.read()) for _ in range(2)] == [[], []]
    monkeypatch.undo()
    assert ids(tail.read()) == named(0, 3)
    assert len(tail.faults) == 1


def test_a_rename_costs_one_look_and_not_one_a_batch(
    tmp_path: Path, tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 1))
    one.roll("test")
    one.append(some(1, 1))
    tail.newest(0)
    for at in range(2, 50):
        one.append(some(at, 1))
    one.roll("test")
    scans = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: [scans.append(path), scan(path)][1])
    assert ids(tail.read()) == named(2, 48)
    assert 1 < len(scans) < 10


def test_the_newest_of_a_type_are_found_by_the_index(
    tmp_path: Path, tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = archive_log(tmp_path)
    for at in range(40):
        rare = some(at, 1)[0]._replace(type="rare" if at == 5 else "frequent")
        one.append([rare])
    one.roll("test")
    read = []
    decoded = StoredBatch.events
    monkeypatch.setattr(
        StoredBatch, "events", lambda batch, needed=None: [read.append(batch), decoded(batch, needed)][1]
    )
    other = Tail([tmp_path], make_query(types=["rare"]))
    assert ids(other.newest(10)) == ["id-5"]
    assert len(read) < 5
    other.close()


def test_the_newest_are_those_that_arrived_last_in_the_order_of_their_arrival(tmp_path: Path, tail: Tail) -> None:
    """An instance whose clock is ahead, or a late event, hid the newest archived events."""
    for instance, serials in (("one", (5, 1, 3)), ("two", (2, 6, 4))):
        writer = archive_log(tmp_path, instance=instance)
        for serial in serials:
            writer.append([event._replace(time_us=event.time_us - 10**6 * serial) for event in some(serial, 1)])
            writer.roll("test")
    assert ids(tail.newest(4)) == named(3, 4)


def test_archives_that_were_read_are_forgotten(tmp_path: Path, tail: Tail) -> None:
    tail.newest(0)
    for number in range(5):
        one = archive_log(tmp_path, instance=f"pod-{number}")
        for at in range(20):
            one.append(some(at, 1))
            one.roll("test")
        tail.follower.streams.look(everywhere=True)
        assert len(ids(tail.read())) == 20
    assert [stream.waiting for stream in tail.follower.streams.known.values()] == [{}] * 5
    for path in find_archives([tmp_path]):
        path.unlink()
    tail.follower.streams.look(everywhere=True)
    list(tail.read())
    assert (tail.follower.streams.known, tail.follower.streams.leaving) == ({}, [])


def test_a_file_that_is_no_archive_is_named_once(tmp_path: Path) -> None:
    """It was left out in silence."""
    (tmp_path / "events.jsonl").write_text("{}\n")
    os.mkfifo(tmp_path / "pipe")
    tail = Tail([tmp_path / "events.jsonl", tmp_path / "pipe"])
    assert tail.newest(10) == []
    assert ids(tail.read()) == []
    assert [str(fault) for fault in tail.faults] == [
        f"{tmp_path / 'events.jsonl'}: is no archive",
        f"{tmp_path / 'pipe'}: is not a regular file",
    ]


def test_an_archive_under_another_name_is_read_if_it_is_named_itself(tmp_path: Path) -> None:
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 3))
    one.roll("test")
    copied = shutil.copy(find_archives([tmp_path])[0], tmp_path / "copy")
    assert ids(Tail([copied]).newest(10)) == named(0, 3)


def test_small_batches_are_stored_together_and_large_ones_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store costs two syncs. With one for each batch, a follower was slower than the writer."""
    monkeypatch.setattr("consumer.follow.tail.EVENTS_MAX", 20)
    one = archive_log(tmp_path)
    for at in range(50):
        one.append(some(at, 1))
    one.append(some(50, 30))
    tail = Tail([tmp_path])
    checkpoint = Checkpoint(Disk(), tmp_path, "billing")
    tail.resume(checkpoint, tmp_path)
    ends = []
    for batch in tail.batches():
        tail.confirm(batch)
        (confirmed,) = checkpoint.confirmed.values()
        ends.append((len(batch.found), confirmed.position.event))
    assert ends == [(20, 19), (20, 39), (40, 79)]
    tail.close()
    checkpoint.close()


def test_batches_without_a_wanted_event_move_the_checkpoint_with_the_next_ones(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 3))
    tail = Tail([tmp_path], make_query(ids=["id-1"]))
    checkpoint = Checkpoint(Disk(), tmp_path, "billing")
    tail.resume(checkpoint, tmp_path)
    for at in (3, 6):
        for batch in tail.batches():
            tail.confirm(batch)
        one.append(some(at, 3))
    (confirmed,) = checkpoint.confirmed.values()
    assert confirmed.position.event == 2
    tail.store()
    (confirmed,) = checkpoint.confirmed.values()
    assert confirmed.position.event == 5
    tail.close()
    checkpoint.close()


def test_of_batches_without_a_wanted_event_only_the_last_event_of_each_instance_is_kept(tmp_path: Path) -> None:
    """A whole batch of each instance stayed in memory until the end of the look."""
    for instance in ("one", "two"):
        archive_log(tmp_path, instance=instance).append(some(0, 5))
    tail = Tail([tmp_path], make_query(ids=["unknown"]))
    (batch,) = tail.batches()
    assert [(len(last.events), last.last[1].id) for last in batch.last] == [(0, "id-4"), (0, "id-4")]
    tail.close()


def test_a_batch_of_the_tail_ends_also_if_few_of_the_events_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A match was printed only after everything was read, and a kill in a long catch-up kept nothing."""
    monkeypatch.setattr("consumer.follow.tail.READ_MAX", 20)
    one = archive_log(tmp_path)
    for at in range(0, 50, 5):
        one.append(some(at, 5))
    tail = Tail([tmp_path], make_query(ids=["id-1"]))
    found = [[one.event.id for one in batch.found] for batch in tail.batches()]
    assert found == [["id-1"], [], []]
    tail.close()
